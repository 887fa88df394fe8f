#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/zfs/domain/zfs_encryption.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kHexKey(64, 'A');

// Pool tank with tank/a, which is encrypted with a key of its own, and tank/a/below.
ZfsState Seen() {
  ZfsState seen;
  seen.pools["tank"] = {.name = "tank", .guid = 7, .health = "ONLINE"};
  for (const char* name : {"tank", "tank/a", "tank/a/below"}) {
    DatasetState& dataset = seen.datasets[name];
    dataset.name = name;
    dataset.type = "filesystem";
    dataset.guid = std::hash<std::string>()(name);
    dataset.mounted_at = "/" + dataset.name;
    dataset.properties = {{"mountpoint", {"/" + dataset.name, "default", "-"}},
                          {"canmount", {"on", "default", "-"}},
                          {"encryption", {"off", "default", "-"}}};
    if (dataset.name == "tank") continue;
    dataset.properties["encryption"].value = "aes-256-gcm";
    dataset.properties["keyformat"] = {"passphrase", "-", "-"};
    dataset.properties["encryptionroot"] = {"tank/a", "-", "-"};
    dataset.properties["keystatus"] = {"available", "-", "-"};
  }
  seen.keys_fit["tank/a"] = true;
  return seen;
}

ZfsSpec Encrypted(const std::string& name, const std::string& format = "",
                  const std::string& algorithm = "") {
  ZfsSpec spec;
  spec.datasets = {
      {.name = name, .origin = "zfs.datasets[0]", .encryption = EncryptionSpec{"zfs/a", format, algorithm}}};
  return spec;
}

std::vector<std::string> Refusals(const ZfsSpec& spec, const ZfsState& seen = Seen(),
                                  const std::string& key = "correct horse") {
  const auto keys = GivenKeysOf(spec, {{"zfs/a", Secret(key)}}, Secret("k"));
  const auto plan = MakePlan(spec, seen, {}, keys);
  std::vector<std::string> texts;
  for (const auto& violation : ViolationsOf(plan.status()))
    texts.push_back(violation.field + ": " + violation.description);
  return texts;
}

TEST(PlanKeys, WhatCanBeGivenAtCreationOnlyIsExplained) {
  EXPECT_THAT(Refusals(Encrypted("tank/a")), IsEmpty());
  EXPECT_THAT(Refusals(Encrypted("tank")),
              ElementsAre(HasSubstr("zfs.datasets[0].encryption: tank exists and is not encrypted")));
  EXPECT_THAT(Refusals(Encrypted("tank/a/below")), ElementsAre(HasSubstr("with the key of tank/a")));
  EXPECT_THAT(Refusals(Encrypted("tank/a", "", "aes-128-gcm")),
              ElementsAre(HasSubstr("encryption.algorithm: tank/a is encrypted with aes-256-gcm")));
  EXPECT_THAT(Refusals(Encrypted("tank/a", "hex"), Seen(), kHexKey),
              ElementsAre(HasSubstr("zfs change-key -o keyformat=hex tank/a")));
  EXPECT_THAT(Refusals(Encrypted("tank/a", "rot13", "des")),
              ElementsAre(HasSubstr("encryption.format: 'rot13'"), HasSubstr("encryption.algorithm: 'des'")));
}

// A key that nobody could try must not pass for the right one.
TEST(PlanKeys, AKeyCountsOnlyWhereItWasTried) {
  ZfsState seen = Seen();
  seen.keys_fit.clear();
  EXPECT_THAT(Refusals(Encrypted("tank/a"), seen), ElementsAre(HasSubstr("is not the key of tank/a")));
}

// A suspended pool answers nothing: trying a key in it would end the plan with what the tool says.
TEST(PlanKeys, NoKeyIsTriedInAPoolThatIsUnusable) {
  ZfsState seen = Seen();
  const ZfsSpec spec = Encrypted("tank/a");
  const Secrets secrets = {{"zfs/a", Secret("correct horse")}};
  EXPECT_EQ(KeysToTry(spec, seen, secrets).size(), 1u);
  seen.pools["tank"].health = "SUSPENDED";
  EXPECT_TRUE(KeysToTry(spec, seen, secrets).empty());
  seen.keys_fit.clear();
  EXPECT_THAT(Refusals(spec, seen), IsEmpty());
  for (auto& [name, dataset] : seen.datasets) {
    if (name == "tank") continue;
    dataset.properties["keystatus"].value = "unavailable";
    dataset.mounted_at.clear();
  }
  EXPECT_THAT(Refusals(spec, seen),
              ElementsAre("zfs.datasets[0].name: pool tank is SUSPENDED: nothing can be "
                          "changed in it until its disks are back"));
}

TEST(PlanKeys, WhatIsKeptOfAKeyTellsAChangeAndIsTooLittleToFindItBy) {
  const Secret node("k");
  const std::string mac = MacOfKey(node, Secret("correct horse"));
  EXPECT_EQ(mac.size(), 4u);
  EXPECT_EQ(mac, MacOfKey(node, Secret("correct horse")));
  EXPECT_NE(mac, MacOfKey(node, Secret("another horse")));
  EXPECT_NE(mac, MacOfKey(Secret("another node"), Secret("correct horse")));
}

TEST(PlanKeys, KeysAreCheckedByTheirFormat) {
  const auto wrong = [](std::string_view format, const std::string& key) {
    return !WrongKey(format, Secret(key)).empty();
  };
  EXPECT_TRUE(wrong("passphrase", "seven77"));
  EXPECT_FALSE(wrong("passphrase", "eight888"));
  EXPECT_FALSE(wrong("passphrase", std::string(512, 'x')));
  EXPECT_TRUE(wrong("passphrase", std::string(513, 'x')));
  EXPECT_TRUE(wrong("passphrase", "two lines\nhere"));
  EXPECT_TRUE(wrong("passphrase", std::string("a null\0byte", 11)));
  EXPECT_FALSE(wrong("hex", kHexKey));
  EXPECT_TRUE(wrong("hex", kHexKey + "0"));
  EXPECT_TRUE(wrong("hex", std::string(64, 'g')));
  EXPECT_FALSE(wrong("raw", std::string(32, '\0')));
  EXPECT_FALSE(wrong("raw", kHexKey));
  EXPECT_TRUE(wrong("raw", std::string(33, 'x')));
  EXPECT_THAT(
      Refusals(Encrypted("tank/new"), Seen(), "seven77"),
      ElementsAre("zfs.datasets[0].encryption.key: the secret 'zfs/a' cannot be the key of tank/new: a "
                  "passphrase has 8 to 512 bytes, and this one has not"));
}

TEST(PlanKeys, WhatZfsReadsOfAKey) {
  EXPECT_EQ(KeyInput("passphrase", Secret("correct horse")).Reveal(), "correct horse\n");
  EXPECT_EQ(KeyInput("hex", Secret(kHexKey)).Reveal(), kHexKey + "\n");
  EXPECT_EQ(KeyInput("raw", Secret(kHexKey)).Reveal(), std::string(32, '\xaa'));
  EXPECT_EQ(KeyInput("raw", Secret(std::string(32, '\n'))).Reveal(), std::string(32, '\n'));
}

TEST(PlanKeys, MountsComeParentsFirstAndLeaveOutWhatIsNotToBeMounted) {
  ZfsState seen = Seen();
  for (auto& [name, dataset] : seen.datasets) dataset.mounted_at.clear();
  seen.datasets["tank/a"].properties["mountpoint"].value = "/srv/a/deep";
  seen.datasets["tank/a/below"].properties["mountpoint"].value = "/srv/a";
  std::vector<std::string> names;
  for (const auto& mount : MountsOf(seen, "tank/a")) names.push_back(mount.name);
  EXPECT_THAT(names, ElementsAre("tank/a/below", "tank/a"));
  seen.datasets["tank/a/below"].properties["canmount"].value = "noauto";
  EXPECT_EQ(MountsOf(seen, "tank/a").size(), 1u);
}

}  // namespace
}  // namespace phoenix::zfs

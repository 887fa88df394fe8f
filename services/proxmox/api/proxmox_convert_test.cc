#include "services/proxmox/api/proxmox_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kType[] = "phoenix.proxmox.v1.ProxmoxSpec";

TEST(ProxmoxConvert, ASpecComesBackAsItWent) {
  ProxmoxSpec spec;
  spec.partial = true;
  spec.storages.push_back({"vm",
                           "zfspool",
                           {"images", "rootdir"},
                           {{"pool", "tank/vm"}, {"sparse", "1"}},
                           false,
                           "zfs.datasets[0]"});
  spec.storages.push_back({"old", "", {}, {}, true, "zfs.datasets[1]"});
  spec.storages.push_back(
      {"nas", "cifs", {}, {{"username", "u"}}, false, "zfs.datasets[2]", "samba/users/u"});
  spec.storages[0].mount_point = "/tank/vm";
  spec.vms.push_back({1001, {{"user", "st:snippets/a.yaml"}}, "st", false, "vms $.vms[0]"});
  spec.vms.push_back({1002,
                      {{"vendor", "st:snippets/b.yaml"}, {"meta", "st:snippets/c.yaml"}},
                      "st",
                      false,
                      "vms $.vms[1]"});
  spec.vms.push_back({1003, {{"vendor", "st:snippets/b.yaml"}}, "st", true, "vms $.vms[2]"});
  spec.containers.push_back(
      {950,
       {{"data", "tank", 8, "/data", true, true, "$.v"},
        {"more", "tank", 4, "/more", std::nullopt, false, ""}},
       {{"/srv/a", "/a", 0, std::nullopt, true, "$.b"},
        {"/srv/b", "/b", std::nullopt, 33, false, "", 100000, 100033},
        {"/srv/c", "/c", std::nullopt, std::nullopt, false, "", std::nullopt, std::nullopt, true}},
       "$.lxc_configs.950",
       "hv2"});
  const auto back = ParseSpec(kType, ToProto(spec).SerializeAsString());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, spec);
}

TEST(ProxmoxConvert, OtherTypesBytesAndPresencesAreRefused) {
  EXPECT_THAT(Message(ParseSpec("phoenix.zfs.v1.ZfsSpec", "").status()),
              HasSubstr("phoenix.proxmox.v1.ProxmoxSpec"));
  EXPECT_EQ(ParseSpec(kType, "\xff\xff").status().code(), absl::StatusCode::kInvalidArgument);
  v1::ProxmoxSpec proto;
  proto.add_storages()->set_presence(static_cast<v1::Presence>(7));
  EXPECT_EQ(ParseSpec(kType, proto.SerializeAsString()).status().code(), absl::StatusCode::kInvalidArgument);
  proto.Clear();
  proto.add_virtual_machines()->set_presence(static_cast<v1::Presence>(7));
  EXPECT_EQ(ParseSpec(kType, proto.SerializeAsString()).status().code(), absl::StatusCode::kInvalidArgument);
  proto.Clear();
  proto.add_containers()->add_binds()->set_presence(static_cast<v1::Presence>(7));
  EXPECT_EQ(ParseSpec(kType, proto.SerializeAsString()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ProxmoxConvert, AnUnspecifiedPresenceIsPresent) {
  v1::ProxmoxSpec proto;
  proto.add_storages()->set_id("vm");
  EXPECT_FALSE(ToSpec(proto)->storages[0].absent);
}

TEST(ProxmoxConvert, AResourceTellsTheWholeEntry) {
  const StorageEntry entry{"vm", "zfspool", {"rootdir", "images"}, {"pve2", "pve1"}, true, {{"pool", "tank"}},
                           false};
  const v1::Storage storage = ToProto(entry, true);
  EXPECT_EQ(storage.name(), "storages/vm");
  EXPECT_EQ(storage.type(), "zfspool");
  EXPECT_THAT(storage.content(), ElementsAre("images", "rootdir"));
  EXPECT_THAT(storage.nodes(), ElementsAre("pve1", "pve2"));
  EXPECT_EQ(storage.options().at("pool"), "tank");
  EXPECT_TRUE(storage.disabled());
  EXPECT_TRUE(storage.managed());
  StorageEntry changed = entry;
  EXPECT_EQ(EtagOf(changed), storage.etag());
  changed.nodes.erase("pve2");
  EXPECT_NE(EtagOf(changed), storage.etag());
}

TEST(ProxmoxConvert, AWantedResourceIsADeclaredEntry) {
  v1::Storage storage;
  storage.set_name("storages/vm");
  storage.set_type("zfspool");
  storage.add_content("images");
  (*storage.mutable_options())["pool"] = "tank";
  const auto spec = ToStorageSpec(storage);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(*spec, (StorageSpec{"vm", "zfspool", {"images"}, {{"pool", "tank"}}, false, "storage"}));
  storage.add_nodes("pve1");
  storage.set_disabled(true);
  EXPECT_EQ(ViolationsOf(ToStorageSpec(storage).status()).size(), 2u);
}

TEST(ProxmoxConvert, NamesOfStorages) {
  EXPECT_EQ(*ParseStorageName("storages/quickOS-vm-disks"), "quickOS-vm-disks");
  for (const char* name : {"", "storages", "storages/", "storage/vm", "storages/1", "storages/a/b"}) {
    EXPECT_FALSE(ParseStorageName(name).ok()) << name;
  }
  EXPECT_EQ(StorageName("vm"), "storages/vm");
}

}  // namespace
}  // namespace phoenix::proxmox

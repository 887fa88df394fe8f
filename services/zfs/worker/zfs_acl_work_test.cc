// ACLs of mount roots over the simulated machine: done, undone, and left to others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/zfs/worker/zfs_domain.h"
#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StepDriver;

constexpr char kLater[] = "00000000-0000-4000-8000-000000000002";
constexpr char kData[] = "tank/data";

class AclWorkTest : public ::testing::Test {
 protected:
  AclWorkTest() {
    TestMachine::Must(
        machine_.host().Change(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {}}, nullptr));
  }
  void Prepare(std::optional<std::vector<std::string>> acl, const char* run, PropertyMap properties = {}) {
    ZfsSpec spec;
    spec.datasets = {{.name = kData,
                      .properties = std::move(properties),
                      .group = "heads",
                      .mode = "2770",
                      .acl = std::move(acl)}};
    spec.partial = true;
    TestMachine::Must(driver_.Prepare(machine_.Input(spec), run));
  }
  void Others(const Acl& acl) {
    machine_.Edit("zfs.dataset", kData, [&](nlohmann::json& dataset) { dataset["acl"] = acl; });
  }

  TestMachine machine_;
  StepDriver driver_{machine_.domain()};
};

TEST_F(AclWorkTest, ComesWithTheDatasetAndAfterwards) {
  const std::string blank = machine_.Dump();
  Prepare(std::vector<std::string>{"group:heads:r-x"}, kRun, {{"acltype", "posix"}});
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  EXPECT_THAT(machine_.Dataset(kData).acl, ElementsAre("group::rwx", "group:1000:r-x"));
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), blank);
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());

  const std::string before = machine_.Dump();
  Prepare(std::vector<std::string>{"user:7:r-x", "default:group::rwx"}, kLater, {{"acltype", "posix"}});
  TestMachine::Must(driver_.Apply(1, /*repeat=*/true));
  EXPECT_THAT(machine_.Dataset(kData).acl, ElementsAre("user:7:r-x", "group::rwx", "default:user::rwx",
                                                       "default:group::rwx", "default:other::---"));
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

// The type of ACLs and the ACL in one run: in this order there, and in the other one back.
TEST_F(AclWorkTest, ComesAfterTheTypeThatKeepsItAndGoesBeforeIt) {
  Prepare(std::nullopt, kRun);
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  const std::string before = machine_.Dump();
  Prepare(std::vector<std::string>{"user:7:r-x"}, kLater, {{"acltype", "posix"}});
  TestMachine::Must(driver_.Apply(2));
  EXPECT_THAT(machine_.Dataset(kData).acl, ElementsAre("user:7:r-x", "group::rwx"));
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dump(), before);
}

TEST_F(AclWorkTest, WhatOthersMadeOfItMeanwhileStays) {
  Prepare(std::nullopt, kRun, {{"acltype", "posix"}});
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  Prepare(std::vector<std::string>{"user:7:r-x", "default:user:7:r-x"}, kLater, {{"acltype", "posix"}});
  TestMachine::Must(driver_.Apply());
  // Cut off between the two: only what the step itself wrote is there.
  Others({"user:7:r-x", "group::rwx"});
  TestMachine::Must(driver_.Undo());
  EXPECT_THAT(machine_.Dataset(kData).acl, IsEmpty());
  TestMachine::Must(driver_.Apply());
  for (const Acl& theirs : {Acl{"user:7:r-x", "user:8:rwx", "group::rwx"}, Acl{"group::rwx"}}) {
    Others(theirs);
    EXPECT_THAT(Message(driver_.Undo()), HasSubstr(theirs[0])) << "what somebody took away stays away, too";
    EXPECT_EQ(machine_.Dataset(kData).acl, theirs);
  }
}

// Where none is declared it belongs to others, also what they make of it while a run has not ended.
TEST_F(AclWorkTest, AModeAloneLeavesItAlone) {
  Prepare(std::nullopt, kRun, {{"acltype", "posix"}});
  TestMachine::Must(driver_.Apply());
  TestMachine::Must(driver_.Commit());
  ZfsSpec spec;
  spec.datasets = {{.name = kData, .mode = "2750"}};
  spec.partial = true;
  TestMachine::Must(driver_.Prepare(machine_.Input(spec), kLater));
  const Acl theirs = {"user:8:rwx", "group::rwx"};
  Others({"user:9:r-x", "group::rwx"});
  TestMachine::Must(driver_.Apply());
  Others(theirs);
  TestMachine::Must(driver_.Undo());
  EXPECT_EQ(machine_.Dataset(kData).acl, theirs);
  EXPECT_EQ(machine_.Dataset(kData).root->mode, 02770u);
}

}  // namespace
}  // namespace phoenix::zfs

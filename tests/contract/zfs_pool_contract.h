// Pools that grow, go and come back, as every ZfsHost shows them. For nodes as ZfsHostContract has them,
// whose disks are of one size.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/zfs_host_contract.h"

namespace phoenix::zfs {

template <class Node>
class ZfsPoolContract : public ZfsHostContract<Node> {
 protected:
  void MakeMirror() {
    this->Must(CreatePool{this->kPool,
                          {{"mirror", {this->Disk(0), this->Disk(1)}}},
                          {{"autotrim", "off"}},
                          {{std::string(kRunMark), this->kRun}},
                          false});
  }
  ZfsState SeeVdevs() {
    ObserveRequest request;
    request.pools = request.vdev_names = true;
    request.disks = this->node_->disks();
    request.wanted_pools = {this->kPool};
    return this->See(request);
  }
  std::string Device(size_t disk) { return SeeVdevs().disks.at(this->Disk(disk)).device_path; }
  MemberState Member(size_t disk) {
    const ZfsState state = SeeVdevs();
    const auto pool = state.pools.find(this->kPool);
    if (pool == state.pools.end()) return {};
    const auto member = pool->second.members.find(state.disks.at(this->Disk(disk)).device_path);
    return member == pool->second.members.end() ? MemberState{} : member->second;
  }
  // What differs from the layout of the pool, in words.
  std::string Differs(const std::vector<VdevGroup>& wanted) {
    return ExplainDifference(wanted, SeeVdevs().pools[this->kPool].layout);
  }
  // A disk that left the pool holds nothing but what names it, and can be cleared.
  void ExpectOnlyOurResidue(size_t disk) {
    const DiskState state = SeeVdevs().disks.at(this->Disk(disk));
    EXPECT_EQ(state.member_of, "");
    for (const auto& finding : state.findings) {
      EXPECT_TRUE(finding.pool.empty() ? finding.zfs_partition : finding.pool == this->kPool)
          << finding.where << ": " << finding.what;
    }
    this->Clear(state);
    EXPECT_TRUE(SeeVdevs().disks.at(this->Disk(disk)).findings.empty());
  }
  bool Waited(const std::function<bool()>& done) {
    for (int i = 0; i < 120 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return done();
  }
};

TYPED_TEST_SUITE_P(ZfsPoolContract);

TYPED_TEST_P(ZfsPoolContract, VdevsOfEveryClassAreSeenAndThoseThatMayGoGo) {
  this->MakeMirror();
  const std::string first = this->Device(0), second = this->Device(1), third = this->Device(2);
  for (const VdevClass vdev_class : {VdevClass::kLog, VdevClass::kCache, VdevClass::kSpare}) {
    SCOPED_TRACE(ToString(vdev_class));
    this->Must(AddVdev{this->kPool, {"disk", {this->Disk(2)}, vdev_class}});
    EXPECT_EQ(this->Differs({{"mirror", {first, second}}, {"disk", {third}, vdev_class}}), "");
    EXPECT_EQ(this->SeeVdevs().disks.at(this->Disk(2)).member_of, this->kPool);
    this->Must(RemoveVdev{this->kPool, this->Member(2).vdev_name});
    EXPECT_EQ(this->Differs({{"mirror", {first, second}}}), "");
    this->ExpectOnlyOurResidue(2);
  }
  // As safe as the data must it be.
  EXPECT_FALSE(this->Try(AddVdev{this->kPool, {"disk", {this->Disk(2)}, VdevClass::kSpecial}}).ok());
  EXPECT_FALSE(this->Try(AddVdev{this->kPool, {"disk", {this->Disk(2)}}}).ok());
  EXPECT_EQ(this->Differs({{"mirror", {first, second}}}), "");
}

TYPED_TEST_P(ZfsPoolContract, APoolIsMadeOfAllItsVdevsAtOnce) {
  this->Must(CreatePool{this->kPool,
                        {{"disk", {this->Disk(1)}, VdevClass::kLog},
                         {"disk", {this->Disk(0)}},
                         {"disk", {this->Disk(2)}, VdevClass::kCache}},
                        {},
                        {{std::string(kRunMark), this->kRun}},
                        false});
  EXPECT_EQ(this->Differs({{"disk", {this->Device(0)}},
                           {"disk", {this->Device(1)}, VdevClass::kLog},
                           {"disk", {this->Device(2)}, VdevClass::kCache}}),
            "");
}

TYPED_TEST_P(ZfsPoolContract, ARaidzIsMadeAndSeen) {
  this->Must(CreatePool{this->kPool,
                        {{"raidz1", {this->Disk(0), this->Disk(1), this->Disk(2)}}},
                        {},
                        {{std::string(kRunMark), this->kRun}},
                        false});
  EXPECT_EQ(this->Differs({{"raidz1", {this->Device(2), this->Device(1), this->Device(0)}}}), "");
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].health, "ONLINE");
  EXPECT_FALSE(this->Try(AttachDisk{this->kPool, this->Member(0).name, this->Disk(3)}).ok());
}

TYPED_TEST_P(ZfsPoolContract, APoolIsMadeWithASpecialMirror) {
  this->Must(CreatePool{this->kPool,
                        {{"mirror", {this->Disk(0), this->Disk(1)}},
                         {"mirror", {this->Disk(2), this->Disk(3)}, VdevClass::kSpecial}},
                        {{"ashift", "12"}},
                        {{std::string(kRunMark), this->kRun}},
                        false});
  EXPECT_EQ(this->Differs({{"mirror", {this->Device(0), this->Device(1)}},
                           {"mirror", {this->Device(2), this->Device(3)}, VdevClass::kSpecial}}),
            "");
}

// With a sector size of its own, as far as zpool takes one, and without.
TYPED_TEST_P(ZfsPoolContract, ADataOrSpecialMirrorIsAddedForGood) {
  for (const VdevClass vdev_class : {VdevClass::kData, VdevClass::kSpecial}) {
    for (const char* ashift : {"", "12"}) {
      SCOPED_TRACE(fmt::format("{} {}", ToString(vdev_class), ashift));
      this->Must(CreatePool{this->kPool,
                            {{"mirror", {this->Disk(0), this->Disk(1)}}},
                            {{"ashift", "12"}},
                            {{std::string(kRunMark), this->kRun}},
                            false});
      this->Must(CreateDataset{this->Name("a"), 0, {}});
      this->node_->WriteFile(this->Path("a/letter"));
      const std::vector<VdevGroup> both = {{"mirror", {this->Device(0), this->Device(1)}},
                                           {"mirror", {this->Device(2), this->Device(3)}, vdev_class}};
      this->Must(AddVdev{this->kPool, {"mirror", {this->Disk(2), this->Disk(3)}, vdev_class}, ashift});
      EXPECT_EQ(this->Differs(both), "");
      EXPECT_EQ(this->SeeVdevs().pools[this->kPool].health, "ONLINE");
      EXPECT_TRUE(this->node_->Exists(this->Path("a/letter")));
      this->CleanUp();
    }
  }
}

TYPED_TEST_P(ZfsPoolContract, ADiskIsAttachedAndDetached) {
  this->MakePool();
  const std::string first = this->Device(0), second = this->Device(1), third = this->Device(2);
  this->Must(AttachDisk{this->kPool, this->Member(0).name, this->Disk(1)});
  EXPECT_EQ(this->Differs({{"mirror", {first, second}}}), "");
  this->Must(AttachDisk{this->kPool, this->Member(0).name, this->Disk(2)});
  EXPECT_EQ(this->Differs({{"mirror", {first, second, third}}}), "");
  const std::string name = this->Member(0).name;
  for (const size_t disk : {2, 1}) {
    EXPECT_EQ(this->Member(0).name, name);
    this->Must(DetachDisk{this->kPool, this->Member(disk).name});
    this->ExpectOnlyOurResidue(disk);
  }
  EXPECT_EQ(this->Differs({{"disk", {first}}}), "");
  EXPECT_NE(this->Member(0).name, name) << "it has the GUID of its vdev by now";
  EXPECT_FALSE(this->Try(DetachDisk{this->kPool, this->Member(0).name}).ok());
}

TYPED_TEST_P(ZfsPoolContract, ADiskIsReplaced) {
  this->MakeMirror();
  const std::string first = this->Device(0), third = this->Device(2);
  this->Must(ReplaceDisk{this->kPool, this->Member(1).name, this->Disk(2)});
  // From the beginning the new disk counts as the member.
  EXPECT_EQ(this->Differs({{"mirror", {first, third}}}), "");
  EXPECT_TRUE(
      this->Waited([&] { return this->Member(2).replaces.empty() && this->Member(1).state.empty(); }));
  EXPECT_EQ(this->Differs({{"mirror", {first, third}}}), "");
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].health, "ONLINE");
  this->ExpectOnlyOurResidue(1);
}

TYPED_TEST_P(ZfsPoolContract, PropertiesAreSetAndSetBack) {
  this->MakeMirror();
  this->Must(SetPoolProperties{this->kPool, {{"autotrim", "on"}, {"comment", "two words"}}});
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].properties["autotrim"].value, "on");
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].properties["comment"].value, "two words");
  this->Must(SetPoolProperties{this->kPool, {{"autotrim", "off"}}});
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].properties["autotrim"].value, "off");
}

TYPED_TEST_P(ZfsPoolContract, AnExportedPoolComesBackMounted) {
  this->MakeMirror();
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  this->node_->WriteFile(this->Path("a/letter"));
  const uint64_t guid = this->SeeVdevs().pools[this->kPool].guid;
  this->Must(ExportPool{this->kPool});
  const ZfsState state = this->SeeVdevs();
  EXPECT_EQ(state.pools.count(this->kPool), 0u);
  const auto exported = std::find_if(state.exported.begin(), state.exported.end(),
                                     [&](const ExportedPool& pool) { return pool.guid == guid; });
  ASSERT_NE(exported, state.exported.end());
  EXPECT_EQ(exported->name, this->kPool);
  EXPECT_EQ(exported->state, "ONLINE");
  EXPECT_FALSE(exported->in_use_elsewhere);
  EXPECT_EQ(exported->members.size(), 2u);
  for (const size_t disk : {0, 1}) {
    const auto& findings = state.disks.at(this->Disk(disk)).findings;
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(),
                            [&](const Finding& finding) { return finding.pool_guid == guid; }));
  }
  this->Must(ImportPool{this->kPool, guid});
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].guid, guid);
  EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, this->Path("a"));
  EXPECT_TRUE(this->node_->Exists(this->Path("a/letter")));
}

// Until its disks are used again a pool that was destroyed is not lost.
TYPED_TEST_P(ZfsPoolContract, ADestroyedPoolComesBackUnmounted) {
  this->MakeMirror();
  this->Must(CreateDataset{this->Name("a"), 0, {{"quota", "64M"}}});
  this->node_->WriteFile(this->Path("a/letter"));
  const uint64_t guid = this->SeeVdevs().pools[this->kPool].guid;
  this->Must(DestroyPool{this->kPool});
  EXPECT_TRUE(this->SeeVdevs().exported.empty()) << "destroyed is not exported";
  this->Must(ImportPool{this->kPool, guid, /*destroyed=*/true});
  EXPECT_EQ(this->SeeVdevs().pools[this->kPool].guid, guid);
  EXPECT_EQ(this->Dataset(this->kPool).mounted_at, "");
  EXPECT_EQ(this->Dataset(this->Name("a")).Value("quota"), "67108864");
  this->Must(MountDataset{this->kPool});
  this->Must(MountDataset{this->Name("a")});
  EXPECT_TRUE(this->node_->Exists(this->Path("a/letter")));
}

REGISTER_TYPED_TEST_SUITE_P(ZfsPoolContract, VdevsOfEveryClassAreSeenAndThoseThatMayGoGo,
                            APoolIsMadeOfAllItsVdevsAtOnce, ARaidzIsMadeAndSeen,
                            APoolIsMadeWithASpecialMirror, ADataOrSpecialMirrorIsAddedForGood,
                            ADiskIsAttachedAndDetached, ADiskIsReplaced, PropertiesAreSetAndSetBack,
                            AnExportedPoolComesBackMounted, ADestroyedPoolComesBackUnmounted);

}  // namespace phoenix::zfs

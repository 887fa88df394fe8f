// What every host must do alike with the storage of containers: the simulated one, and pct on a real node or
// on the lab's stand-in for it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/status/errors.h"
#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

// A world gives what the contract of ProxmoxHost wants, a dataset in any case, and Snapshot(dataset, name).
// It cleans up at its end the container 999950 and its volumes.
template <class World>
class ContainerHostContract : public ::testing::Test {
 protected:
  static constexpr uint32_t kId = 999950;
  static constexpr uint64_t kGib = uint64_t{1} << 30;

  ContainerHostContract() {
    Write("arch: amd64\nostype: debian\nhostname: phxct\nunprivileged: 1\n");
    const NewStorage storage{
        "phxct-ct", "zfspool", Words{"rootdir"}, {world_.node()}, {{"pool", world_.dataset()}}, false};
    const auto added = world_.host().Add(storage, nullptr);
    EXPECT_TRUE(added.ok()) << added.status();
  }

  ContainerHost& host() { return world_.host().containers(); }
  std::string File() { return "/etc/pve/nodes/" + world_.node() + "/lxc/999950.conf"; }
  void Write(const std::string& text) {
    const auto written = world_.host().files().Replace(File(), {text, 0, 33, 0640});
    EXPECT_TRUE(written.ok()) << written;
  }
  ContainerConfig Config() {
    const auto places = host().Read({kId});
    EXPECT_TRUE(places.ok() && places->here.count(kId) != 0) << places.status();
    return places.ok() ? places->here.at(kId) : ContainerConfig();
  }
  absl::Status Mount(const std::vector<NewMount>& mounts, const std::string& digest = "") {
    return host().Mount(kId, mounts, digest.empty() ? Config().digest : digest, observer_).status();
  }
  absl::Status Detach(const std::string& key) {
    return host().Detach(kId, {key}, Config().digest, observer_);
  }
  std::set<std::string> Volumes() {
    const auto volumes = host().Volumes("phxct-ct", kId);
    EXPECT_TRUE(volumes.ok()) << volumes.status();
    std::set<std::string> ids;
    for (const auto& [id, size] : *volumes) ids.insert(id);
    return ids;
  }
  uint64_t Size(const std::string& volume) { return host().Volumes("phxct-ct", kId)->at(volume); }
  std::string Dataset(const std::string& volume) {
    return world_.dataset() + "/" + volume.substr(volume.find(':') + 1);
  }
  static NewMount Volume(int number, const std::string& path, uint64_t size) {
    return {number, "phxct-ct", size, {}, path, std::nullopt, false};
  }

  World world_;
  const ChildObserver observer_ = [](const ChildIdentity&) { return absl::OkStatus(); };
};

TYPED_TEST_SUITE_P(ContainerHostContract);

TYPED_TEST_P(ContainerHostContract, VolumesAndDirectoriesComeInOneCallUnderTheirNumbers) {
  auto volume = this->Volume(0, "/data", 1);
  volume.backup = true;
  const NewMount bind{7, "", 0, "/srv", "/a b", std::nullopt, true};
  ASSERT_TRUE(this->Mount({volume, bind}).ok());
  const ContainerConfig config = this->Config();
  ASSERT_EQ(config.mounts.size(), 2u);
  const ContainerMount& mount = config.mounts.at(0);
  EXPECT_EQ(mount.source, "phxct-ct:subvol-999950-disk-0");
  EXPECT_EQ(mount.path, "/data");
  EXPECT_EQ(mount.size, this->kGib);
  EXPECT_EQ(mount.options, (Options{{"backup", "1"}}));
  EXPECT_EQ(config.mounts.at(7), (ContainerMount{"/srv", "/a b", std::nullopt, {{"ro", "1"}}}));
  EXPECT_EQ(this->Volumes(), std::set<std::string>{mount.source});
  EXPECT_EQ(this->Size(mount.source), this->kGib);
  EXPECT_TRUE(this->host().Look(this->Dataset(mount.source))->IsEmpty());
}

TYPED_TEST_P(ContainerHostContract, AnotherDigestIsAbortedAndChangesNothing) {
  const std::string before = this->Config().digest;
  EXPECT_EQ(this->Mount({this->Volume(0, "/data", 1)}, std::string(40, 'a')).code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(this->Config().digest, before);
  EXPECT_TRUE(this->Volumes().empty());
  ASSERT_TRUE(this->Mount({this->Volume(0, "/data", 1)}).ok());
  EXPECT_EQ(this->host().Resize(this->kId, 0, 2 * this->kGib, std::string(40, 'a'), nullptr).code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(this->host().Detach(this->kId, {"mp0"}, std::string(40, 'a'), nullptr).code(),
            absl::StatusCode::kAborted);
}

TYPED_TEST_P(ContainerHostContract, ACallOfWhichAPartCannotBeHasNoneOfItsLines) {
  auto wrong = this->Volume(1, "/more", 1);
  wrong.storage = "phxct-none";
  EXPECT_FALSE(this->Mount({this->Volume(0, "/data", 1), wrong}).ok());
  EXPECT_TRUE(this->Config().mounts.empty());
  const auto changed = this->world_.host().Set(
      {"phxct-ct", Words{"images"}, std::nullopt, {}, {}, this->world_.host().ReadStorages()->digest},
      nullptr);
  ASSERT_TRUE(changed.ok()) << changed.status();
  const absl::Status refused = this->Mount({this->Volume(0, "/data", 1)});
  EXPECT_THAT(Message(refused), ::testing::HasSubstr("does not allow content type 'rootdir'"));
  EXPECT_TRUE(this->Config().mounts.empty());
}

TYPED_TEST_P(ContainerHostContract, AVolumeThatIsTakenAwayIsUnusedAndThenDestroyed) {
  const NewMount bind{1, "", 0, "/srv", "/a", std::nullopt, false};
  ASSERT_TRUE(this->Mount({this->Volume(0, "/data", 1), bind}).ok());
  ASSERT_TRUE(this->host().Detach(this->kId, {"mp0", "mp1"}, this->Config().digest, this->observer_).ok());
  const ContainerConfig config = this->Config();
  EXPECT_TRUE(config.mounts.empty());
  ASSERT_EQ(config.unused.size(), 1u);
  EXPECT_EQ(config.unused.at(0), "phxct-ct:subvol-999950-disk-0");
  EXPECT_EQ(this->Volumes().size(), 1u);
  ASSERT_TRUE(this->Detach("unused0").ok());
  EXPECT_TRUE(this->Config().unused.empty());
  EXPECT_TRUE(this->Volumes().empty());
  EXPECT_EQ(this->host().Look(this->Dataset("phxct-ct:subvol-999950-disk-0")).status().code(),
            absl::StatusCode::kNotFound);
  // What is not set only warns.
  EXPECT_TRUE(this->Detach("mp9").ok());
}

TYPED_TEST_P(ContainerHostContract, AVolumeGrowsAndPctDoesNotShrinkIt) {
  ASSERT_TRUE(this->Mount({this->Volume(3, "/data", 1)}).ok());
  const std::string volume = this->Config().mounts.at(3).source;
  ASSERT_TRUE(this->host().Resize(this->kId, 3, 2 * this->kGib, this->Config().digest, this->observer_).ok());
  EXPECT_EQ(this->Config().mounts.at(3).size, 2 * this->kGib);
  EXPECT_EQ(this->Size(volume), 2 * this->kGib);
  EXPECT_THAT(Message(this->host().Resize(this->kId, 3, this->kGib, this->Config().digest, nullptr)),
              ::testing::HasSubstr("unable to shrink"));
  EXPECT_THAT(Message(this->host().Resize(this->kId, 3, 2 * this->kGib, this->Config().digest, nullptr)),
              ::testing::HasSubstr("already at specified size"));
}

// The way back that pct does not have: the quota below the former size, and pct up to it.
TYPED_TEST_P(ContainerHostContract, AVolumeIsGivenItsFormerSizeThroughItsQuota) {
  ASSERT_TRUE(this->Mount({this->Volume(0, "/data", 1)}).ok());
  const std::string text = this->world_.host().files().Read(this->File())->value_or(FileState{}).content;
  const std::string volume = this->Config().mounts.at(0).source;
  ASSERT_TRUE(this->host().Resize(this->kId, 0, 4 * this->kGib, this->Config().digest, nullptr).ok());
  ASSERT_TRUE(this->host().SetQuota(this->Dataset(volume), this->kGib - 1024, this->observer_).ok());
  EXPECT_EQ(this->Config().mounts.at(0).size, 4 * this->kGib);
  ASSERT_TRUE(this->host().Resize(this->kId, 0, this->kGib, this->Config().digest, nullptr).ok());
  EXPECT_EQ(this->Size(volume), this->kGib);
  EXPECT_EQ(this->world_.host().files().Read(this->File())->value_or(FileState{}).content, text);
}

TYPED_TEST_P(ContainerHostContract, FilesAndSnapshotsInAVolumeAreSeen) {
  ASSERT_TRUE(this->Mount({this->Volume(0, "/data", 1)}).ok());
  const std::string dataset = this->Dataset(this->Config().mounts.at(0).source);
  this->world_.Snapshot(dataset, "phxct");
  EXPECT_EQ(this->host().Look(dataset)->others, std::vector<std::string>{dataset + "@phxct"});
  ASSERT_TRUE(this->world_.host().files().Replace("/" + dataset + "/file", {"x", 0, 0, 0644}).ok());
  EXPECT_EQ(this->host().Look(dataset)->names, std::vector<std::string>{"file"});
  EXPECT_LT(*this->host().Referenced(dataset), this->kGib);
  EXPECT_EQ(this->host().Referenced(dataset + "-none").status().code(), absl::StatusCode::kNotFound);
}

TYPED_TEST_P(ContainerHostContract, FreedIsGoneAndTwiceIsNoError) {
  ASSERT_TRUE(this->Mount({this->Volume(0, "/data", 1)}).ok());
  this->Write("arch: amd64\nostype: debian\n");
  const std::string volume = *this->Volumes().begin();
  ASSERT_TRUE(this->host().Free(volume, this->observer_).ok());
  EXPECT_TRUE(this->Volumes().empty());
  EXPECT_TRUE(this->host().Free(volume, this->observer_).ok());
}

TYPED_TEST_P(ContainerHostContract, LockedProtectedAndMissingContainersAreRefused) {
  this->Write("arch: amd64\nostype: debian\nlock: backup\n");
  EXPECT_THAT(Message(this->Mount({this->Volume(0, "/data", 1)})), ::testing::HasSubstr("CT is locked"));
  this->Write("arch: amd64\nostype: debian\nprotection: 1\n");
  EXPECT_THAT(Message(this->Mount({this->Volume(0, "/data", 1)})), ::testing::HasSubstr("is protected"));
  EXPECT_TRUE(this->Volumes().empty());
  EXPECT_EQ(this->host().Mount(999951, {this->Volume(0, "/data", 1)}, "", this->observer_).status().code(),
            absl::StatusCode::kNotFound);
}

REGISTER_TYPED_TEST_SUITE_P(ContainerHostContract, VolumesAndDirectoriesComeInOneCallUnderTheirNumbers,
                            AnotherDigestIsAbortedAndChangesNothing,
                            ACallOfWhichAPartCannotBeHasNoneOfItsLines,
                            AVolumeThatIsTakenAwayIsUnusedAndThenDestroyed, AVolumeGrowsAndPctDoesNotShrinkIt,
                            AVolumeIsGivenItsFormerSizeThroughItsQuota, FilesAndSnapshotsInAVolumeAreSeen,
                            FreedIsGoneAndTwiceIsNoError, LockedProtectedAndMissingContainersAreRefused);

}  // namespace phoenix::proxmox

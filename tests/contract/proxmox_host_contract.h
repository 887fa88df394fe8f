// What every Proxmox host must do alike: the simulated one, and the node's API and pvesm on a real node or on
// the lab's stand-ins for them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/status/errors.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/host/proxmox_host.h"

namespace phoenix::proxmox {

// A world gives: host(), node(), folder() (a directory of its own, empty at first, no mount point) and
// dataset() (a mounted dataset of its own, "" where there is none; the cases that need one are skipped then),
// tells_warnings() (what the tools say while they succeed is reported; the API keeps it to itself), and
// WriteVm() makes the file of a VM with an id from 99900 to 99999. It cleans up at its end whatever has an id
// that begins with phxct.
template <class World>
class ProxmoxHostContract : public ::testing::Test {
 protected:
  ProxmoxHost& host() { return world_.host(); }
  NewStorage Dir(const std::string& id, Words content) {
    return {id, "dir", std::move(content), {world_.node()}, {{"path", world_.folder() + "/" + id}}, false};
  }
  std::optional<StorageEntry> Find(const std::string& id) {
    const auto config = host().ReadStorages();
    EXPECT_TRUE(config.ok()) << config.status();
    if (!config.ok()) return std::nullopt;
    const auto found = config->entries.find(id);
    return found == config->entries.end() ? std::nullopt : std::optional(found->second);
  }
  std::string Digest() { return host().ReadStorages()->digest; }
  bool HasFolder(const std::string& path) {
    const auto folder = host().files().ReadDirectory(path);
    return folder.ok() && folder->has_value();
  }

  World world_;
  const ChildObserver observer_ = [](const ChildIdentity&) { return absl::OkStatus(); };
};

TYPED_TEST_SUITE_P(ProxmoxHostContract);

TYPED_TEST_P(ProxmoxHostContract, ObservesTheNodeAndItsImplicitStorage) {
  const auto state = this->host().Observe({{this->world_.folder()}, {"phxct-none"}});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(state->installed);
  EXPECT_EQ(state->node, this->world_.node());
  EXPECT_EQ(state->config.entries.count("local"), 1u);
  EXPECT_EQ(state->folders.count(this->world_.folder()), 1u);
  EXPECT_TRUE(state->users.at("phxct-none").empty());
  EXPECT_TRUE(state->config.broken.empty());
}

TYPED_TEST_P(ProxmoxHostContract, AddsADirectoryWithItsFolders) {
  auto wanted = this->Dir("phxct-dir", {"iso", "backup"});
  wanted.options["prune-backups"] = "keep-last=3";
  const std::string before = this->Digest();
  const auto report = this->host().Add(wanted, this->observer_);
  ASSERT_TRUE(report.ok()) << report.status();
  const auto entry = this->Find("phxct-dir");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->type, "dir");
  EXPECT_EQ(entry->content, (Words{"backup", "iso"}));
  EXPECT_EQ(entry->nodes, Words{this->world_.node()});
  EXPECT_EQ(entry->options.at("prune-backups"), "keep-last=3");
  EXPECT_NE(this->Digest(), before);
  const std::string path = wanted.options["path"];
  EXPECT_TRUE(this->HasFolder(path + "/dump"));
  EXPECT_TRUE(this->HasFolder(path + "/template/iso"));
  EXPECT_FALSE(this->HasFolder(path + "/images"));
  // All that came is what the domain expects to find, and to clean up.
  const auto expected = FoldersOf("phxct-dir", {"dir", wanted.content, wanted.options});
  for (const auto& folder : expected) EXPECT_TRUE(this->HasFolder(folder)) << folder;
}

TYPED_TEST_P(ProxmoxHostContract, ContainersBringTheFolderOfTheirDumpsAlong) {
  const auto wanted = this->Dir("phxct-ct", {"rootdir"});
  ASSERT_TRUE(this->host().Add(wanted, this->observer_).ok());
  for (const auto& folder : FoldersOf("phxct-ct", {"dir", wanted.content, wanted.options})) {
    EXPECT_TRUE(this->HasFolder(folder)) << folder;
  }
}

TYPED_TEST_P(ProxmoxHostContract, AnIdThatIsTakenIsAlreadyExists) {
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-dir", {"iso"}), this->observer_).ok());
  const auto again = this->host().Add(this->Dir("phxct-dir", {"backup"}), this->observer_);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists) << again.status();
  EXPECT_EQ(this->Find("phxct-dir")->content, Words{"iso"});
}

TYPED_TEST_P(ProxmoxHostContract, WithoutContentTheDefaultCountsBeforeAndAfterTheNextRewrite) {
  auto wanted = this->Dir("phxct-bare", {});
  wanted.content = std::nullopt;
  ASSERT_TRUE(this->host().Add(wanted, this->observer_).ok());
  EXPECT_EQ(this->Find("phxct-bare")->content, (Words{"images", "rootdir"}));
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-next", {"iso"}), this->observer_).ok());
  EXPECT_EQ(this->Find("phxct-bare")->content, (Words{"images", "rootdir"}));
}

TYPED_TEST_P(ProxmoxHostContract, SetsAndTakesBackFreeFields) {
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-dir", {"iso"}), this->observer_).ok());
  const StorageEntry before = *this->Find("phxct-dir");
  const auto set = this->host().Set(
      {"phxct-dir", Words{"iso", "snippets"}, std::nullopt, {{"shared", "1"}}, {}, this->Digest()},
      this->observer_);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(this->Find("phxct-dir")->content, (Words{"iso", "snippets"}));
  EXPECT_EQ(this->Find("phxct-dir")->options.at("shared"), "1");
  const auto back = this->host().Set(
      {"phxct-dir", Words{"iso"}, std::nullopt, {}, {"shared"}, this->Digest()}, this->observer_);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(CanonicalText(*this->Find("phxct-dir")), CanonicalText(before));
}

TYPED_TEST_P(ProxmoxHostContract, NodesAreReplacedAsAWhole) {
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-dir", {"iso"}), this->observer_).ok());
  const Words both = {this->world_.node(), "phxother"};
  ASSERT_TRUE(
      this->host().Set({"phxct-dir", std::nullopt, both, {}, {}, this->Digest()}, this->observer_).ok());
  EXPECT_EQ(this->Find("phxct-dir")->nodes, both);
  ASSERT_TRUE(
      this->host()
          .Set({"phxct-dir", std::nullopt, Words{"phxother"}, {}, {}, this->Digest()}, this->observer_)
          .ok());
  EXPECT_EQ(this->Find("phxct-dir")->nodes, Words{"phxother"});
}

TYPED_TEST_P(ProxmoxHostContract, AnotherDigestIsAbortedAndChangesNothing) {
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-dir", {"iso"}), this->observer_).ok());
  const std::string now = this->Digest();
  const auto set = this->host().Set(
      {"phxct-dir", Words{"backup"}, std::nullopt, {}, {}, std::string(40, 'a')}, this->observer_);
  EXPECT_EQ(set.status().code(), absl::StatusCode::kAborted) << set.status();
  EXPECT_EQ(this->Digest(), now);
}

TYPED_TEST_P(ProxmoxHostContract, FixedFieldsAndForeignOptionsAreRefusedAndChangeNothing) {
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-dir", {"iso"}), this->observer_).ok());
  const std::string before = CanonicalText(*this->Find("phxct-dir"));
  EXPECT_FALSE(
      this->host()
          .Set({"phxct-dir", std::nullopt, std::nullopt, {{"path", "/elsewhere"}}, {}, this->Digest()},
               this->observer_)
          .ok());
  EXPECT_FALSE(this->host()
                   .Set({"phxct-dir", std::nullopt, std::nullopt, {{"sparse", "1"}}, {}, this->Digest()},
                        this->observer_)
                   .ok());
  EXPECT_FALSE(
      this->host()
          .Set({"phxct-dir", std::nullopt, std::nullopt, {}, {"path"}, this->Digest()}, this->observer_)
          .ok());
  EXPECT_EQ(CanonicalText(*this->Find("phxct-dir")), before);
}

TYPED_TEST_P(ProxmoxHostContract, BadEntriesAreRefusedAndLeaveNothing) {
  EXPECT_FALSE(this->host()
                   .Add({"phxct bad", "dir", Words{"iso"}, {}, {{"path", "/x"}}, false}, this->observer_)
                   .ok());
  EXPECT_FALSE(
      this->host().Add({"phxct-a", "zfspool", Words{"images"}, {}, {}, false}, this->observer_).ok());
  EXPECT_FALSE(this->host().Add({"phxct-a", "nosuch", std::nullopt, {}, {}, false}, this->observer_).ok());
  EXPECT_FALSE(
      this->host()
          .Add({"phxct-a", "dir", Words{"iso"}, {}, {{"path", "/with blank"}}, false}, this->observer_)
          .ok());
  EXPECT_FALSE(this->host()
                   .Add({"phxct-a", "zfspool", Words{"images"}, {}, {{"pool", "phxnosuchpool"}}, false},
                        this->observer_)
                   .ok());
  EXPECT_FALSE(this->Find("phxct-a"));
}

TYPED_TEST_P(ProxmoxHostContract, AFolderThatShouldBeAMountPointIsRefusedAndNothingIsMade) {
  auto wanted = this->Dir("phxct-mp", {"iso"});
  wanted.options["is_mountpoint"] = "1";
  const auto report = this->host().Add(wanted, this->observer_);
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(Message(report.status()), ::testing::HasSubstr("expected to be a mount point"));
  EXPECT_FALSE(this->Find("phxct-mp"));
  EXPECT_FALSE(this->HasFolder(wanted.options["path"]));
}

TYPED_TEST_P(ProxmoxHostContract, RemovesTheEntryAndLeavesItsFolders) {
  const auto wanted = this->Dir("phxct-dir", {"iso"});
  ASSERT_TRUE(this->host().Add(wanted, this->observer_).ok());
  const auto report = this->host().Remove("phxct-dir", this->observer_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(this->Find("phxct-dir"));
  EXPECT_TRUE(this->HasFolder(wanted.options.at("path") + "/template/iso"));
  EXPECT_EQ(this->host().Remove("phxct-dir", this->observer_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(this->host()
                .Set({"phxct-dir", Words{"iso"}, std::nullopt, {}, {}, this->Digest()}, this->observer_)
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

TYPED_TEST_P(ProxmoxHostContract, StatusTellsActiveInactiveAndDisabled) {
  ASSERT_TRUE(this->host().Add(this->Dir("phxct-here", {"iso"}), this->observer_).ok());
  auto off = this->Dir("phxct-off", {"iso"});
  off.disabled = true;
  ASSERT_TRUE(this->host().Add(off, this->observer_).ok());
  EXPECT_TRUE(this->Find("phxct-off")->disabled);
  auto other = this->Dir("phxct-other", {"iso"});
  other.nodes = {"phxother"};
  ASSERT_TRUE(this->host().Add(other, this->observer_).ok());
  // Nothing is made for a node that this one is not.
  EXPECT_FALSE(this->HasFolder(other.options["path"]));
  auto lost = this->Dir("phxct-lost", {"iso"});
  lost.options["is_mountpoint"] = "1";
  lost.nodes = {"phxother"};
  ASSERT_TRUE(this->host().Add(lost, this->observer_).ok());
  ASSERT_TRUE(this->host()
                  .Set({"phxct-lost", std::nullopt, Words{this->world_.node()}, {}, {}, this->Digest()},
                       this->observer_)
                  .ok());
  const auto status = this->host().Status();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->storages.at("phxct-here").state, "active");
  EXPECT_EQ(status->storages.at("phxct-here").type, "dir");
  EXPECT_EQ(status->storages.at("phxct-off").state, "disabled");
  EXPECT_EQ(status->storages.at("phxct-other").state, "disabled");
  EXPECT_EQ(status->storages.at("phxct-lost").state, "inactive");
  EXPECT_THAT(status->warnings, ::testing::Contains(::testing::HasSubstr("phxct-lost")));
}

TYPED_TEST_P(ProxmoxHostContract, AZfspoolNotesItsMountPointAndDropsWhatItCannotHoldWithAWarning) {
  const std::string dataset = this->world_.dataset();
  if (dataset.empty()) GTEST_SKIP() << "no dataset in this world";
  const auto report = this->host().Add(
      {"phxct-zfs", "zfspool", Words{"images", "iso"}, {this->world_.node()}, {{"pool", dataset}}, false},
      this->observer_);
  ASSERT_TRUE(report.ok()) << report.status();
  if (this->world_.tells_warnings()) {
    EXPECT_THAT(report->warnings, ::testing::Contains(::testing::HasSubstr("'iso'")));
  }
  const auto entry = this->Find("phxct-zfs");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->content, Words{"images"});
  EXPECT_EQ(entry->options.at("mountpoint"), "/" + dataset);
  EXPECT_TRUE(ForeignOptions(*entry, {"zfspool", Words{"images"}, {{"pool", dataset}}}).empty());
  const auto status = this->host().Status();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->storages.at("phxct-zfs").state, "active");
}

TYPED_TEST_P(ProxmoxHostContract, AnUnknownDatasetOfAKnownPoolIsAddedAndInactive) {
  const std::string dataset = this->world_.dataset();
  if (dataset.empty()) GTEST_SKIP() << "no dataset in this world";
  ASSERT_TRUE(this->host()
                  .Add({"phxct-gone",
                        "zfspool",
                        Words{"images"},
                        {this->world_.node()},
                        {{"pool", dataset + "-nosuch"}},
                        false},
                       this->observer_)
                  .ok());
  const auto status = this->host().Status();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->storages.at("phxct-gone").state, "inactive");
  EXPECT_THAT(status->warnings, ::testing::Contains(::testing::HasSubstr("does not exist")));
}

TYPED_TEST_P(ProxmoxHostContract, AMountedDatasetIsAMountPointForADirectory) {
  const std::string dataset = this->world_.dataset();
  if (dataset.empty()) GTEST_SKIP() << "no dataset in this world";
  EXPECT_TRUE(*this->host().IsMounted("/" + dataset));
  const auto report = this->host().Add({"phxct-on",
                                        "dir",
                                        Words{"iso"},
                                        {this->world_.node()},
                                        {{"path", "/" + dataset}, {"is_mountpoint", "1"}},
                                        false},
                                       this->observer_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(this->HasFolder("/" + dataset + "/template/iso"));
}

TYPED_TEST_P(ProxmoxHostContract, AVmIsReadAndGivenCloudInitData) {
  this->world_.WriteVm(99901, "ciuser: ann\nide2: local:vm-99901-cloudinit,media=cdrom\nmemory: 512\n");
  VmHost& vms = this->host().vms();
  auto places = vms.Read({99901, 99902});
  ASSERT_TRUE(places.ok()) << places.status();
  EXPECT_TRUE(places->has_tool);
  ASSERT_EQ(places->here.size(), 1u);
  EXPECT_TRUE(places->elsewhere.empty());
  const VmConfig before = places->here.at(99901);
  EXPECT_TRUE(before.cicustom.empty());
  EXPECT_TRUE(before.has_cloud_init_drive);
  EXPECT_EQ(before.user_settings, std::vector<std::string>{"ciuser"});
  const Cicustom wanted = {{"user", "local:snippets/u.yaml"}, {"network", "local:snippets/n.yaml"}};
  const absl::Status set = vms.SetCicustom(99901, wanted, before.digest, this->observer_);
  ASSERT_TRUE(set.ok()) << set;
  places = vms.Read({99901});
  const VmConfig after = places->here.at(99901);
  EXPECT_EQ(after.cicustom, wanted);
  EXPECT_NE(after.digest, before.digest);
  // Decided on what it was: nothing changes.
  EXPECT_EQ(vms.SetCicustom(99901, {}, before.digest, this->observer_).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(vms.Read({99901})->here.at(99901).digest, after.digest);
  ASSERT_TRUE(vms.SetCicustom(99901, {}, after.digest, this->observer_).ok());
  EXPECT_EQ(vms.Read({99901})->here.at(99901).digest, before.digest);
}

TYPED_TEST_P(ProxmoxHostContract, AVmThatIsLockedOrNotThereIsRefused) {
  this->world_.WriteVm(99901, "lock: backup\nmemory: 512\n");
  VmHost& vms = this->host().vms();
  const VmConfig vm = vms.Read({99901})->here.at(99901);
  EXPECT_EQ(vm.lock, "backup");
  const absl::Status locked =
      vms.SetCicustom(99901, {{"user", "local:snippets/u.yaml"}}, vm.digest, this->observer_);
  EXPECT_EQ(locked.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(locked), ::testing::HasSubstr("VM is locked (backup)"));
  EXPECT_EQ(vms.Read({99901})->here.at(99901).digest, vm.digest);
  EXPECT_EQ(vms.SetCicustom(99902, {{"user", "local:snippets/u.yaml"}}, "", this->observer_).code(),
            absl::StatusCode::kNotFound);
}

TYPED_TEST_P(ProxmoxHostContract, APasswordIsKeptBesideTheEntryAndGoesWithItOrIsRefused) {
  // Switched off, so that no server is asked.
  NewStorage wanted{"phxct-cifs",
                    "cifs",
                    Words{"iso"},
                    {this->world_.node()},
                    {{"server", "127.0.0.1"}, {"share", "m"}, {"username", "heads"}},
                    true,
                    Secret("correct & horse")};
  const bool had_folder = this->HasFolder(kPasswordFolder);
  const auto report = this->host().Add(wanted, this->observer_);
  if (!this->host().Observe({})->has_api_token) {
    EXPECT_EQ(report.status().code(), absl::StatusCode::kFailedPrecondition) << report.status();
    EXPECT_FALSE(this->Find("phxct-cifs"));
    return;
  }
  ASSERT_TRUE(report.ok()) << report.status();
  const auto entry = this->Find("phxct-cifs");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->options.at("username"), "heads");
  EXPECT_EQ(entry->options.count("password"), 0u);
  const auto file = this->host().files().Read(PasswordPath("phxct-cifs"));
  ASSERT_TRUE(file.ok() && file->has_value()) << file.status();
  EXPECT_EQ((*file)->content, "password=correct & horse\n");
  EXPECT_EQ((*file)->mode, 0600u);
  ASSERT_TRUE(this->host().Remove("phxct-cifs", this->observer_).ok());
  EXPECT_FALSE(*this->host().files().Read(PasswordPath("phxct-cifs")));
  // It stays, as other folders of an entry do.
  if (!had_folder) {
    EXPECT_TRUE(this->host().files().RemoveDirectory(kPasswordFolder).ok());
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    ProxmoxHostContract, APasswordIsKeptBesideTheEntryAndGoesWithItOrIsRefused,
    AVmIsReadAndGivenCloudInitData, AVmThatIsLockedOrNotThereIsRefused, ObservesTheNodeAndItsImplicitStorage,
    AddsADirectoryWithItsFolders, ContainersBringTheFolderOfTheirDumpsAlong, AnIdThatIsTakenIsAlreadyExists,
    WithoutContentTheDefaultCountsBeforeAndAfterTheNextRewrite, SetsAndTakesBackFreeFields,
    NodesAreReplacedAsAWhole, AnotherDigestIsAbortedAndChangesNothing,
    FixedFieldsAndForeignOptionsAreRefusedAndChangeNothing, BadEntriesAreRefusedAndLeaveNothing,
    AFolderThatShouldBeAMountPointIsRefusedAndNothingIsMade, RemovesTheEntryAndLeavesItsFolders,
    StatusTellsActiveInactiveAndDisabled, AZfspoolNotesItsMountPointAndDropsWhatItCannotHoldWithAWarning,
    AnUnknownDatasetOfAKnownPoolIsAddedAndInactive, AMountedDatasetIsAMountPointForADirectory);

}  // namespace phoenix::proxmox

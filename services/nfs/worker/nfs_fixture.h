// The NFS domain over a simulated machine, for its tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/kit/sim/machine.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/host/nfs_sim.h"
#include "services/nfs/worker/nfs_domain.h"
#include "services/node/host/node_sim.h"
#include "tests/support/step_driver.h"

namespace phoenix::nfs {

using ::phoenix::testing::StepDriver;

inline constexpr char kRun[] = "7d8a51c8-1111-4222-8333-444455556666";

class NfsDomainTest : public ::testing::Test {
 protected:
  NfsDomainTest() {
    char name[] = "/tmp/phoenix-nfs-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = kit::Machine::Open(directory_).value();
    files_ = std::make_unique<kit::SimFiles>(machine_);
    host_ = std::make_unique<NfsSim>(machine_, *files_);
    node_ = std::make_unique<node::NodeSim>(machine_);
    probe_ = std::make_unique<NfsProbeSim>(machine_);
    domain_ = std::make_unique<NfsDomain>(
        *host_, *probe_, *node_,
        [this](std::string_view, std::string_view) -> absl::StatusOr<NfsSpec> { return spec_; });
  }
  ~NfsDomainTest() override { std::filesystem::remove_all(directory_); }

  void Ready() { ASSERT_TRUE(node::SeedReadyNode(*machine_).ok()); }
  void Put(std::string_view kind, std::string_view name, const nlohmann::json& value) {
    ASSERT_TRUE(machine_->Change([&](kit::World& world) { return world.Put(kind, name, value); }).ok());
  }
  // As the zfs domain's simulated host leaves it.
  void MountZfs(const std::string& path) {
    Put("zfs.dataset", path.substr(1), {{"mounted", path}});
    const std::string pool = path.substr(0, path.find('/', 1));
    ASSERT_TRUE(files_->MakeDirectory(pool, {}).ok());
    ASSERT_TRUE(files_->MakeDirectory(path, {}).ok());
  }
  void Write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(files_->MakeDirectory(kExportsDirectory, {}).ok());
    ASSERT_TRUE(files_->Replace(path, {text, 0, 0, 0644}).ok());
  }
  std::string Read(const std::string& path) {
    return files_->Read(path).value().value_or(FileState{}).content;
  }
  std::string Dump() { return machine_->Dump().value(); }

  static ExportSpec Wanted(const std::string& path, std::string_view options = "rw,sync,no_subtree_check",
                           std::vector<std::string> clients = {"10.0.0.0/24"}) {
    ExportSpec spec{path, {}, Presence::kPresent, "nfs.exports[" + path + "]", ""};
    for (auto& client : clients) spec.clients.push_back({std::move(client), SplitOptions(options)});
    return spec;
  }
  static ExportSpec Absent(const std::string& path) {
    ExportSpec spec = Wanted(path);
    spec.presence = Presence::kAbsent;
    return spec;
  }
  // The seed's three exports.
  void WantSeed() {
    spec_.exports = {Wanted("/quickOS/shared-prod-data"),
                     Wanted("/quickOS/shared-prod-data-sync", "rw,sync,no_root_squash"),
                     Wanted("/fastData/shared-bulk-data", "rw,async", {"10.0.0.0/24", "10.1.0.5"})};
  }
  void MountSeed() {
    for (const auto& wanted : spec_.exports) MountZfs(wanted.path);
  }
  void Commit(StepDriver& driver, const std::string& run = kRun) {
    const absl::Status prepared = driver.Prepare({}, run);
    ASSERT_TRUE(prepared.ok()) << prepared;
    const absl::Status applied = driver.Apply();
    ASSERT_TRUE(applied.ok()) << applied;
    ASSERT_TRUE(driver.Commit().ok());
  }
  static std::vector<std::string> Ids(const StepDriver& driver) {
    std::vector<std::string> ids;
    for (size_t i = 0; i < driver.plan().steps.size(); ++i) ids.push_back(driver.StepAt(i).id);
    return ids;
  }
  absl::StatusOr<kit::VerifyReport> Verify(const StepDriver& driver) {
    return domain_->Verify({driver.plan().steps, nullptr});
  }

  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<kit::SimFiles> files_;
  std::unique_ptr<NfsSim> host_;
  std::unique_ptr<node::NodeSim> node_;
  std::unique_ptr<NfsProbeSim> probe_;
  std::unique_ptr<NfsDomain> domain_;
  NfsSpec spec_;
};

}  // namespace phoenix::nfs

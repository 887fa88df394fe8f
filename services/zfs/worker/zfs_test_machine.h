// A simulated node with ZFS for tests: disks S1A, S1B and S2A, a group, and the seed's specification.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/time/fake_clock.h"
#include "services/zfs/host/zfs_sim.h"
#include "services/zfs/worker/zfs_domain.h"
#include "tests/support/step_driver.h"

namespace phoenix::zfs {

inline constexpr char kDiskA[] = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1A";
inline constexpr char kDiskB[] = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1B";
inline constexpr char kDiskC[] = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A";
inline constexpr char kRun[] = "7c2e5b3e-6d6b-4d34-9a41-9b5a4f2e8f01";

class TestMachine {
 public:
  TestMachine() : directory_(Memory() / ("phoenix-zfs-" + RandomUuid())) {
    spdlog::set_level(spdlog::level::err);
    machine_ = *kit::Machine::Open(directory_);
    Must(SeedDisks(*machine_));
    Must(machine_->Change([](kit::World& world) { return world.Put("group", "heads", {{"gid", 1000}}); }));
    host_ = std::make_unique<ZfsSim>(machine_, clock_);
    domain_ = std::make_unique<ZfsDomain>(
        *host_, clock_,
        [this](std::string_view, std::string_view) -> absl::StatusOr<ZfsSpec> { return spec_; });
  }
  ~TestMachine() {
    domain_.reset();
    host_.reset();
    machine_.reset();
    std::filesystem::remove_all(directory_);
  }

  // The world is an SQLite file that is synced at every change: in memory the tests take a fraction of the
  // time.
  static std::filesystem::path Memory() {
    return std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  }
  static void Must(const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; }
  static ZfsSpec Seed() {
    ZfsSpec spec;
    spec.pools = {{"quickOS", "mirror", {kDiskA, kDiskB}, {{"ashift", "12"}}, "zfs.pools[0]"},
                  {"fastData", "single", {kDiskC}, {}, "zfs.pools[1]"}};
    const auto dataset = [&](const std::string& name, PropertyMap properties) {
      spec.datasets.push_back({.name = name,
                               .properties = std::move(properties),
                               .origin = "zfs.datasets[" + std::to_string(spec.datasets.size()) + "]"});
    };
    dataset("quickOS/vm-disks", {{"recordsize", "128K"}, {"compression", "lz4"}, {"quota", "800G"}});
    dataset("quickOS/lxc-disks", {{"recordsize", "16K"}, {"compression", "lz4"}, {"quota", "600G"}});
    dataset("quickOS/shared-prod-data", {{"recordsize", "128K"}, {"compression", "lz4"}, {"quota", "400G"}});
    dataset("quickOS/shared-prod-data-sync", {{"recordsize", "16K"}, {"sync", "always"}, {"quota", "100G"}});
    dataset("fastData/shared-test-data", {{"recordsize", "128K"}, {"quota", "500G"}});
    dataset("fastData/shared-test-data-sync", {{"recordsize", "16K"}, {"sync", "always"}, {"quota", "100G"}});
    dataset("fastData/shared-backups", {{"recordsize", "1M"}, {"compression", "zstd"}, {"quota", "2T"}});
    dataset("fastData/shared-bulk-data", {{"recordsize", "1M"}, {"compression", "lz4"}, {"quota", "1.4T"}});
    for (size_t i : {2, 3, 4, 7}) {
      spec.datasets[i].owner = "root";
      spec.datasets[i].group = "heads";
      spec.datasets[i].mode = "2770";
    }
    spec.arc_max_bytes = uint64_t{30} << 30;
    return spec;
  }

  std::string Dump() { return *machine_->Dump(); }
  kit::PlanInput Input(const ZfsSpec& spec) {
    spec_ = spec;
    kit::PlanInput input{.spec_type = std::string(kSpecType)};
    input.secrets = secrets;
    input.node_key = Secret("test node key");  // the driver's
    return input;
  }
  // Plans, does and commits; what stands afterwards is what `spec` says.
  void SetUp(const ZfsSpec& spec, testing::StepDriver& driver) {
    Must(driver.Prepare(Input(spec), kRun));
    Must(driver.Apply());
    Must(driver.Commit());
  }
  void WriteFile(const std::string& path) {
    Must(machine_->Change([&](kit::World& world) {
      return world.WriteFile(path, {false, {"others' data", 1000, 1000, 0644}});
    }));
  }
  // One more blank disk.
  std::string AddDisk(const std::string& serial, uint64_t terabytes = 2) {
    const std::string path = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_" + serial;
    Must(machine_->Change([&](kit::World& world) {
      return world.Put("disk", path,
                       {{"serial", serial},
                        {"size", terabytes * 1'000'000'000'000},
                        {"device", "/dev/disk-" + serial + "n1"},
                        {"holds", nlohmann::json::array()},
                        {"pool", ""}});
    }));
    return path;
  }
  // Changes one object of the world, as somebody else would.
  void Edit(const std::string& kind, const std::string& name,
            const std::function<void(nlohmann::json&)>& edit) {
    Must(machine_->Change([&](kit::World& world) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(auto value, world.Get(kind, name));
      if (!value) return NotFound("{} {}", kind, name);
      edit(*value);
      return world.Put(kind, name, *value);
    }));
  }
  DatasetState Dataset(const std::string& name) {
    ObserveRequest request;
    request.datasets = {name};
    const auto state = host_->Observe(request);
    EXPECT_TRUE(state.ok()) << state.status();
    const auto found = state->datasets.find(name);
    EXPECT_TRUE(found != state->datasets.end()) << name << " is not there";
    return found == state->datasets.end() ? DatasetState{} : found->second;
  }
  bool Exists(const std::string& name) {
    ObserveRequest request;
    request.datasets = {name};
    return host_->Observe(request)->datasets.count(name) != 0;
  }
  // The one error of a spec that is refused; the machine must be as before.
  std::string Refusal(const ZfsSpec& spec) {
    const std::string before = Dump();
    const auto plan = domain_->MakePlan(Input(spec));
    EXPECT_TRUE(absl::IsInvalidArgument(plan.status()) || absl::IsFailedPrecondition(plan.status()))
        << plan.status();
    EXPECT_EQ(Dump(), before);
    return Message(plan.status());
  }

  // What a run is given.
  Secrets secrets = {{"zfs/secure", Secret("correct horse")}, {"zfs/other", Secret(std::string(64, 'a'))}};

  FakeClock& clock() { return clock_; }
  kit::Machine& machine() { return *machine_; }
  ZfsHost& host() { return *host_; }
  ZfsDomain& domain() { return *domain_; }

 private:
  const std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  FakeClock clock_;
  std::unique_ptr<ZfsSim> host_;
  ZfsSpec spec_;
  std::unique_ptr<ZfsDomain> domain_;
};

}  // namespace phoenix::zfs

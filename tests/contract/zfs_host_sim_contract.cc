// The contract on the simulated host.
#include <filesystem>
#include <memory>

#include "base/digest/digest.h"
#include "base/status/status_macros.h"
#include "services/zfs/host/zfs_sim.h"
#include "tests/contract/zfs_content_contract.h"
#include "tests/contract/zfs_host_contract.h"
#include "tests/contract/zfs_key_contract.h"
#include "tests/contract/zfs_pool_contract.h"

namespace phoenix::zfs {
namespace {

class SimNode {
 public:
  SimNode() : directory_(Memory() / ("phoenix-zfs-contract-" + RandomUuid())) {
    machine_ = *kit::Machine::Open(directory_);
    // Four of one size, as in the lab.
    EXPECT_TRUE(SeedDisks(*machine_).ok());
    for (const std::string serial : {"S1C", "S1D"}) {
      EXPECT_TRUE(machine_
                      ->Change([&](kit::World& world) -> absl::Status {
                        PHX_ASSIGN_OR_RETURN(auto disk,
                                             world.Get("disk", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1A"));
                        (*disk)["serial"] = serial;
                        (*disk)["device"] = serial == "S1C" ? "/dev/nvme7n1" : "/dev/nvme8n1";
                        return world.Put("disk", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_" + serial, *disk);
                      })
                      .ok());
    }
    host_ = std::make_unique<ZfsSim>(machine_, clock_);
  }
  ~SimNode() {
    host_.reset();
    machine_.reset();
    std::filesystem::remove_all(directory_);
  }
  static bool Available() { return true; }
  ZfsHost& host() { return *host_; }
  std::vector<std::string> disks() {
    return {"/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1A", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1B",
            "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1C", "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S1D"};
  }
  void WriteFile(const std::string& path) {
    EXPECT_TRUE(machine_
                    ->Change([&](kit::World& world) {
                      return world.WriteFile(path, {false, {std::string(262144, 'x'), 0, 0, 0644}});
                    })
                    .ok());
  }
  DirectoryState Inode(const std::string& path) {
    DirectoryState inode;
    EXPECT_TRUE(machine_
                    ->Look([&](kit::World& world) -> absl::Status {
                      const auto file = world.ReadFile(path);
                      if (file.ok() && *file)
                        inode = {(*file)->state.uid, (*file)->state.gid, (*file)->state.mode};
                      return file.status();
                    })
                    .ok());
    return inode;
  }
  // A volume that somebody has open as long as the result is kept.
  std::shared_ptr<void> Opened(const std::string& volume) {
    const auto set = [machine = machine_, volume](bool busy) {
      EXPECT_TRUE(machine
                      ->Change([&](kit::World& world) -> absl::Status {
                        PHX_ASSIGN_OR_RETURN(auto dataset, world.Get("zfs.dataset", volume));
                        (*dataset)["busy"] = busy;
                        return world.Put("zfs.dataset", volume, *dataset);
                      })
                      .ok());
    };
    set(true);
    return {nullptr, [set](void*) { set(false); }};
  }
  bool Exists(const std::string& path) {
    bool exists = false;
    EXPECT_TRUE(machine_
                    ->Look([&](kit::World& world) -> absl::Status {
                      const auto file = world.ReadFile(path);
                      exists = file.ok() && file->has_value();
                      return file.status();
                    })
                    .ok());
    return exists;
  }

 private:
  static std::filesystem::path Memory() {
    return std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  }
  const std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  const SystemClock clock_;
  std::unique_ptr<ZfsSim> host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ZfsHostContract, SimNode);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ZfsContentContract, SimNode);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ZfsPoolContract, SimNode);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ZfsKeyContract, SimNode);

}  // namespace
}  // namespace phoenix::zfs

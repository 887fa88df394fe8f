#include <unistd.h>

#include <filesystem>

#include "services/proxmox/host/proxmox_sim.h"
#include "tests/contract/container_host_contract.h"
#include "tests/contract/proxmox_host_contract.h"

namespace phoenix::proxmox {
namespace {

class SimContractWorld {
 public:
  SimContractWorld()
      : directory_(MakeDirectory()), machine_(*kit::Machine::Open(directory_)), host_(machine_) {
    EXPECT_TRUE(ProxmoxSim::Install(*machine_, "pve1").ok());
    EXPECT_TRUE(machine_
                    ->Change([](kit::World& world) -> absl::Status {
                      for (const char* folder : {"/srv", "/srv/contract", "/tank", "/tank/guests"}) {
                        if (auto status = world.WriteFile(folder, {true, {"", 0, 0, 0755}}); !status.ok())
                          return status;
                      }
                      if (auto status = world.Put(kSimPool, "tank", nlohmann::json::object()); !status.ok())
                        return status;
                      return world.Put(kSimDataset, "tank/guests", {{"mounted", "/tank/guests"}});
                    })
                    .ok());
  }
  ~SimContractWorld() { std::filesystem::remove_all(directory_); }

  ProxmoxHost& host() { return host_; }
  bool tells_warnings() { return true; }
  std::string node() { return "pve1"; }
  std::string folder() { return "/srv/contract"; }
  std::string dataset() { return "tank/guests"; }
  void WriteVm(uint32_t vmid, const std::string& text) {
    EXPECT_TRUE(machine_
                    ->Change([&](kit::World& world) {
                      return world.WriteFile(
                          "/etc/pve/nodes/pve1/qemu-server/" + std::to_string(vmid) + ".conf",
                          {false, {text, 0, 33, 0640}});
                    })
                    .ok());
  }
  void Snapshot(const std::string& dataset, const std::string& name) {
    EXPECT_TRUE(machine_
                    ->Change([&](kit::World& world) {
                      return world.Put("zfs.snapshot", dataset + "@" + name, nlohmann::json::object());
                    })
                    .ok());
  }

 private:
  static std::string MakeDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "phoenix-contract-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    return pattern;
  }

  const std::string directory_;
  const std::shared_ptr<kit::Machine> machine_;
  ProxmoxSim host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ProxmoxHostContract, SimContractWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ContainerHostContract, SimContractWorld);

}  // namespace
}  // namespace phoenix::proxmox

// The contract on the simulated node.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/status/status_macros.h"
#include "services/node/host/node_sim.h"
#include "tests/contract/node_host_contract.h"

namespace phoenix::node {
namespace {

class SimEnvironment {
 public:
  SimEnvironment() {
    char name[] = "/tmp/phoenix-node-contract-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = *kit::Machine::Open(directory_);
    host_ = std::make_unique<NodeSim>(machine_);
    const absl::Status seeded = machine_->Change([](kit::World& world) -> absl::Status {
      PHX_RETURN_IF_ERROR(world.Put("package", "ufw", {{"state", "installed"}}));
      PHX_RETURN_IF_ERROR(world.Put("ufw", "state", {{"active", true}, {"ipv6", true}}));
      nlohmann::json unit = {
          {"package", ""}, {"enablement", "disabled"}, {"active", false}, {"masked", false}};
      PHX_RETURN_IF_ERROR(world.Put("unit", "phoenix-contract-pulled.service", unit));
      unit["pulls"] = std::vector<std::string>{"phoenix-contract-pulled.service"};
      PHX_RETURN_IF_ERROR(world.Put("unit", "phoenix-contract.service", unit));
      unit["alias_of"] = "phoenix-contract.service";
      return world.Put("unit", "phoenix-contract-alias.service", unit);
    });
    EXPECT_TRUE(seeded.ok()) << seeded;
  }
  ~SimEnvironment() { std::filesystem::remove_all(directory_); }

  NodeHost& host() { return *host_; }
  std::string unit() { return "phoenix-contract.service"; }
  std::string pulled_unit() { return "phoenix-contract-pulled.service"; }
  std::string alias() { return "phoenix-contract-alias.service"; }
  void Mask(bool masked) {
    const absl::Status changed = machine_->Change([&](kit::World& world) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(auto unit, world.Get("unit", "phoenix-contract.service"));
      (*unit)["masked"] = masked;
      return world.Put("unit", "phoenix-contract.service", *unit);
    });
    EXPECT_TRUE(changed.ok()) << changed;
  }
  bool ufw_active() { return true; }
  std::string package() { return "nfs-kernel-server"; }
  std::string package_unit() { return "nfs-server.service"; }
  void RemovePackage() {
    EXPECT_TRUE(
        machine_->Change([](kit::World& world) { return world.Delete("package", "nfs-kernel-server"); })
            .ok());
  }

 private:
  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<NodeSim> host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, NodeHostContract, SimEnvironment);

}  // namespace
}  // namespace phoenix::node

#include <cstdlib>
#include <filesystem>

#include "services/kit/sim/machine.h"
#include "services/nfs/host/nfs_sim.h"
#include "services/node/host/node_sim.h"
#include "tests/contract/nfs_host_contract.h"

namespace phoenix::nfs {
namespace {

class OpenSim final : public NfsBench {
 public:
  OpenSim() {
    char name[] = "/tmp/phoenix-nfs-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = kit::Machine::Open(directory_).value();
    files_ = std::make_unique<kit::SimFiles>(machine_);
    host_ = std::make_unique<NfsSim>(machine_, *files_);
    EXPECT_TRUE(node::SeedReadyNode(*machine_).ok());
    EXPECT_TRUE(files_->MakeDirectory("/srv", {}).ok());
  }
  ~OpenSim() override { std::filesystem::remove_all(directory_); }
  NfsHost& host() override { return *host_; }
  Files& files() override { return *files_; }
  std::string MakeDirectory(const std::string& name) override {
    const std::string path = "/srv/" + name;
    EXPECT_TRUE(files_->MakeDirectory(path, {}).ok());
    return path;
  }
  std::string MakeLink(const std::string& name, const std::string& target) override {
    const std::string path = "/srv/" + name;
    EXPECT_TRUE(
        machine_->Change([&](kit::World& world) { return world.Put("nfs.link", path, {{"target", target}}); })
            .ok());
    return path;
  }
  void RunExportfs() override { EXPECT_TRUE(host_->RunExportfs().ok()); }

 private:
  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<kit::SimFiles> files_;
  std::unique_ptr<NfsSim> host_;
};

std::unique_ptr<NfsBench> MakeSim() { return std::make_unique<OpenSim>(); }

INSTANTIATE_TEST_SUITE_P(Sim, NfsHostContract, ::testing::Values(&MakeSim));

}  // namespace
}  // namespace phoenix::nfs

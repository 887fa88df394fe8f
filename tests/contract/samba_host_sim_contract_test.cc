// The contract of SambaHost on the simulated machine.
#include <cstdlib>
#include <filesystem>

#include "services/kit/sim/machine.h"
#include "services/node/host/node_sim.h"
#include "services/samba/host/samba_sim.h"
#include "tests/contract/samba_host_contract.h"

namespace phoenix::samba {
namespace {

class SimWorld {
 public:
  SimWorld() {
    char name[] = "/dev/shm/phoenix-samba-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = *kit::Machine::Open(directory_);
    EXPECT_TRUE(node::SeedReadyNode(*machine_).ok());
    files_ = std::make_unique<kit::SimFiles>(machine_);
    host_ = std::make_unique<SambaSim>(machine_);
  }
  ~SimWorld() { std::filesystem::remove_all(directory_); }

  SambaHost& host() { return *host_; }
  Files& files() { return *files_; }
  std::string MakeShareDirectory() {
    EXPECT_TRUE(files_->MakeDirectory("/phxtest-share", {0, 0, 0777}).ok());
    return "/phxtest-share";
  }

 private:
  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<kit::SimFiles> files_;
  std::unique_ptr<SambaSim> host_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, SambaHostContract, SimWorld);

}  // namespace
}  // namespace phoenix::samba

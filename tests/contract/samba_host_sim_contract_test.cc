// The contract of SambaHost on the simulated machine.
#include <cstdlib>
#include <filesystem>

#include "base/status/status_macros.h"
#include "services/kit/sim/machine.h"
#include "services/node/host/node_sim.h"
#include "services/samba/host/samba_sim.h"
#include "tests/contract/samba_host_contract.h"

namespace phoenix::samba {
namespace {

class SimSession {
 public:
  SimSession(std::shared_ptr<kit::Machine> machine, std::string name)
      : machine_(std::move(machine)), name_(std::move(name)) {}
  bool Goes() {
    bool there = false;
    EXPECT_TRUE(machine_
                    ->Look([&](kit::World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(const auto session, world.Get("samba.session", name_));
                      there = session.has_value();
                      return absl::OkStatus();
                    })
                    .ok());
    return there;
  }

 private:
  std::shared_ptr<kit::Machine> machine_;
  const std::string name_;
};

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
  std::unique_ptr<SimSession> OpenSession(const std::string& share, const std::string& user,
                                          const std::string& password) {
    if (!host_->TryLogin({share, user, ""}, Secret(password)).ok()) return nullptr;
    const std::string name = fmt::format("{}", ++sessions_);
    EXPECT_TRUE(machine_
                    ->Change([&](kit::World& world) {
                      return world.Put("samba.session", name, {{"share", share}, {"user", user}});
                    })
                    .ok());
    return std::make_unique<SimSession>(machine_, name);
  }

 private:
  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<kit::SimFiles> files_;
  std::unique_ptr<SambaSim> host_;
  int sessions_ = 0;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, SambaHostContract, SimWorld);

}  // namespace
}  // namespace phoenix::samba

// A simulated node with Samba's domain on it, for the domain's tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/sim/machine.h"
#include "services/node/host/node_sim.h"
#include "services/node/worker/node_steps.h"
#include "services/samba/host/samba_sim.h"
#include "services/samba/worker/samba_domain.h"
#include "services/samba/worker/sealed_store.h"
#include "tests/support/step_driver.h"

namespace phoenix::samba {

inline constexpr char kRun[] = "8f14e45f-ceea-467f-a830-5b2c1d3e4f50";

class SambaFixture : public ::testing::Test {
 protected:
  SambaFixture() {
    char name[] = "/dev/shm/phoenix-samba-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = *kit::Machine::Open(directory_ + "/sim");
    files_ = std::make_unique<kit::SimFiles>(machine_);
    node_host_ = std::make_unique<node::NodeSim>(machine_);
    node_ = std::make_unique<node::NodeSteps>(*node_host_);
    host_ = std::make_unique<SambaSim>(machine_);
    sealed_ = std::make_unique<SealedStore>(std::make_unique<PosixFiles>(), directory_ + "/sealed");
    domain_ = std::make_unique<SambaDomain>(
        *host_, *files_, *node_, *sealed_,
        [this](std::string_view, std::string_view bytes) -> absl::StatusOr<SambaSpec> {
          return specs_[std::string(bytes)];
        });
    for (const char* path : {"/quickOS", "/quickOS/data", "/quickOS/sync"}) {
      EXPECT_TRUE(files_->MakeDirectory(path, {}).ok());
    }
  }
  ~SambaFixture() override { std::filesystem::remove_all(directory_); }

  void Ready() { ASSERT_TRUE(node::SeedReadyNode(*machine_).ok()); }

  // The spec as an input of the kit.
  kit::PlanInput Input(const SambaSpec& spec,
                       const Secrets& secrets = {{"samba/users/heads", Secret("correct horse")}}) {
    const std::string name = "spec " + std::to_string(specs_.size());
    specs_[name] = spec;
    kit::PlanInput input;
    input.spec_type = kSpecType;
    input.spec = name;
    input.secrets = secrets;
    input.node_key = Secret("test node key");
    return input;
  }

  static ShareSpec Share(const std::string& name, const std::string& path) {
    ShareSpec share;
    share.name = name;
    share.path = path;
    share.valid_users = {"heads"};
    share.origin = "samba.shares[" + name + "]";
    return share;
  }

  // One user, two shares, globals and a client: what the first setup of a node brings about.
  static SambaSpec FirstSpec() {
    SambaSpec spec;
    spec.shares = {Share("data", "/quickOS/data"), Share("sync", "/quickOS/sync")};
    spec.users = {{"heads", "samba/users/heads", false, "samba.user"}};
    spec.globals = {{"workgroup", "PHOENIX"}, {"server min protocol", "SMB2"}};
    spec.clients = {"10.0.0.0/24"};
    return spec;
  }

  std::string Dump() { return *machine_->Dump(); }
  std::string Text(const std::string& path) {
    const auto file = files_->Read(path);
    return file.ok() && *file ? (*file)->content : "";
  }

  std::string directory_;
  std::shared_ptr<kit::Machine> machine_;
  std::unique_ptr<kit::SimFiles> files_;
  std::unique_ptr<node::NodeSim> node_host_;
  std::unique_ptr<node::NodeSteps> node_;
  std::unique_ptr<SambaSim> host_;
  std::unique_ptr<SealedStore> sealed_;
  std::unique_ptr<SambaDomain> domain_;
  std::map<std::string, SambaSpec> specs_;
};

}  // namespace phoenix::samba

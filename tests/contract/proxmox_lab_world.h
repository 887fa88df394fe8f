// A real node, or a directory that a stand-in takes for one. Run as root on a lab node, never on one that
// matters: storages are added and removed.
//
//   PHOENIX_LAUNCH           path of phoenix-launch
//   PHOENIX_CONTRACT_DATASET a mounted dataset for the zfspool cases; they are skipped without it
//   PHOENIX_CONTRACT_ROOT    a directory taken for the whole machine, for stand-ins that can be run so …
//   PHOENIX_CONTRACT_PVESM   … and the program that is pvesm there
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/proxmox/host/proxmox_cli.h"
#include "services/proxmox/host/proxmox_command.h"

namespace phoenix::proxmox {

inline std::string Setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

// Runs another program in pvesm's place.
class StandInRunner final : public CommandRunner {
 public:
  explicit StandInRunner(CommandRunner& runner) : runner_(runner) {}
  absl::StatusOr<CommandResult> Run(const Command& command, const ChildObserver& observer) override {
    Command other = command;
    const std::string program = Setting("PHOENIX_CONTRACT_PVESM", "");
    if (command.program == kPvesm && !program.empty()) {
      other.program = program;
      other.environment.push_back("STANDIN_ROOT=" + Setting("PHOENIX_CONTRACT_ROOT", ""));
    }
    return runner_.Run(other, observer);
  }

 private:
  CommandRunner& runner_;
};

class LabContractWorld {
 public:
  LabContractWorld()
      : files_(Setting("PHOENIX_CONTRACT_ROOT", "/")),
        processes_(Setting("PHOENIX_LAUNCH", "/usr/libexec/phoenix/phoenix-launch")),
        runner_(processes_),
        host_(runner_, files_) {
    CleanUp();
    const DirectoryState open{0, 0, 0755};
    EXPECT_TRUE(files_.MakeDirectory("/srv", open).ok());
    EXPECT_TRUE(files_.MakeDirectory(folder(), open).ok());
  }
  ~LabContractWorld() { CleanUp(); }

  ProxmoxHost& host() { return host_; }
  std::string node() {
    const auto state = host_.Observe({});
    EXPECT_TRUE(state.ok()) << state.status();
    return state.ok() ? state->node : "";
  }
  std::string folder() { return "/srv/phxct"; }
  // Every folder below folder(), for comparisons.
  std::string Folders(const std::string& path) {
    std::string text = path + "\n";
    const auto names = files_.List(path);
    EXPECT_TRUE(names.ok()) << names.status();
    for (const auto& name : *names) text += Folders(path + "/" + name);
    return text;
  }
  std::string dataset() { return Setting("PHOENIX_CONTRACT_DATASET", ""); }

 private:
  void CleanUp() {
    const auto config = host_.ReadStorages();
    ASSERT_TRUE(config.ok()) << config.status();
    for (const auto& [id, entry] : config->entries) {
      if (id.rfind("phxct", 0) == 0) EXPECT_TRUE(host_.Remove(id, nullptr).ok()) << id;
    }
    RemoveTree(folder());
    if (!dataset().empty()) RemoveTree("/" + dataset() + "/template");
  }
  // Only folders are ever made here; anything else stays and fails the removal.
  void RemoveTree(const std::string& path) {
    const auto names = files_.List(path);
    if (!names.ok()) return;
    for (const auto& name : *names) RemoveTree(path + "/" + name);
    EXPECT_TRUE(files_.RemoveDirectory(path).ok()) << path;
  }

  PosixFiles files_;
  PosixCommandRunner processes_;
  StandInRunner runner_;
  ProxmoxCli host_;
};

}  // namespace phoenix::proxmox

// A real node. Run as root on a lab node, never on one that matters: storages are added and removed. The
// zfspool cases need PHOENIX_CONTRACT_DATASET and are skipped without it. With PHOENIX_CONTRACT_TOKEN all
// changes of entries must go through the node's API.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "services/proxmox/host/curl_node_api.h"
#include "services/proxmox/host/proxmox_cli.h"
#include "services/proxmox/host/proxmox_command.h"
#include "tests/contract/api_only_runner.h"
#include "tests/support/lab_setting.h"

namespace phoenix::proxmox {

class LabContractWorld {
 public:
  LabContractWorld()
      : runner_(testing::Launcher()),
        changes_(runner_, !TokenFile().empty()),
        api_(OpenApi()),
        host_(changes_, files_, api_.get()) {
    CleanUp();
    const DirectoryState open{0, 0, 0755};
    EXPECT_TRUE(files_.MakeDirectory("/srv", open).ok());
    EXPECT_TRUE(files_.MakeDirectory(folder(), open).ok());
  }
  ~LabContractWorld() { CleanUp(); }

  ProxmoxHost& host() { return host_; }
  bool tells_warnings() { return api_ == nullptr; }
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
  std::string dataset() { return testing::LabSetting("PHOENIX_CONTRACT_DATASET"); }
  void WriteVm(uint32_t vmid, const std::string& text) {
    EXPECT_TRUE(files_.MakeDirectory(VmFolder(), {0, 33, 0750}).ok());
    EXPECT_TRUE(files_.Replace(VmFolder() + std::to_string(vmid) + ".conf", {text, 0, 33, 0640}).ok());
  }

  void Snapshot(const std::string& dataset, const std::string& name) {
    const auto result = runner_.Run({.program = "/usr/sbin/zfs", .args = {"snapshot", dataset + "@" + name}});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 0) << result->err;
  }

 private:
  static constexpr uint32_t kContainer = 999950;

  static std::string TokenFile() { return testing::LabSetting("PHOENIX_CONTRACT_TOKEN"); }
  std::unique_ptr<CurlNodeApi> OpenApi() {
    if (TokenFile().empty()) return nullptr;
    auto api = CurlNodeApi::Open(files_, {.token_file = TokenFile(), .sent_file = "/run/phxct-api-request"});
    EXPECT_TRUE(api.ok()) << api.status();
    return api.ok() ? *std::move(api) : nullptr;
  }

  std::string VmFolder() { return "/etc/pve/nodes/" + node() + "/qemu-server/"; }
  void CleanUp() {
    const auto vms = files_.List(VmFolder());
    ASSERT_TRUE(vms.ok()) << vms.status();
    for (const auto& name : *vms) {
      if (name.size() == 10 && name.rfind("999", 0) == 0) {
        EXPECT_TRUE(files_.Remove(VmFolder() + name).ok()) << name;
      }
    }
    const auto config = host_.ReadStorages();
    ASSERT_TRUE(config.ok()) << config.status();
    if (config->entries.count("phxct-ct") != 0) {
      // Volumes are listed as a container's only while it is there, and in any content.
      const auto volumes = host_.containers().Volumes("phxct-ct", kContainer);
      EXPECT_TRUE(volumes.ok()) << volumes.status();
      for (const auto& [volume, size] : *volumes)
        EXPECT_TRUE(host_.containers().Free(volume, nullptr).ok()) << volume;
    }
    EXPECT_TRUE(files_.Remove(fmt::format("/etc/pve/nodes/{}/lxc/{}.conf", node(), kContainer)).ok());
    for (const auto& [id, entry] : config->entries) {
      if (id.rfind("phxct", 0) == 0) {
        EXPECT_TRUE(host_.Remove(id, nullptr).ok()) << id;
      }
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
  PosixCommandRunner runner_;
  ApiOnlyRunner changes_;
  const std::unique_ptr<CurlNodeApi> api_;
  ProxmoxCli host_;
};

}  // namespace phoenix::proxmox

// A simulated node with the seed's pools and a domain over it, for the worker's tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/status/errors.h"
#include "services/kit/sim/machine.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/host/proxmox_parse.h"
#include "services/proxmox/host/proxmox_sim.h"
#include "services/proxmox/worker/proxmox_domain.h"
#include "tests/support/step_driver.h"

namespace phoenix::proxmox {

inline StorageSpec MakeSpec(std::string id, std::string_view type, Words content, Options options) {
  StorageSpec spec;
  spec.origin = "here." + id;
  spec.id = std::move(id);
  spec.type = std::string(type);
  spec.content = std::move(content);
  spec.options = std::move(options);
  return spec;
}
inline StorageSpec Zfs(const std::string& id, const std::string& pool, Words content) {
  return MakeSpec(id, "zfspool", std::move(content), {{"pool", pool}});
}
inline StorageSpec Dir(const std::string& id, const std::string& path, Words content) {
  return MakeSpec(id, "dir", std::move(content), {{"path", path}});
}
inline StorageSpec Nfs(const std::string& id, const std::string& server, const std::string& path) {
  return MakeSpec(id, "nfs", {"images"}, {{"server", server}, {"export", path}});
}
inline ProxmoxSpec Spec(std::vector<StorageSpec> storages) { return {std::move(storages), false}; }

inline ProxmoxSpec SeedSpec() {
  return Spec({Zfs("quickOS-vm-disks", "quickOS/vm-disks", {"images"}),
               Zfs("quickOS-lxc-disks", "quickOS/lxc-disks", {"rootdir"}),
               Zfs("quickOS-shared-prod-data", "quickOS/shared-prod-data", {"images", "rootdir"}),
               Zfs("quickOS-shared-prod-data-sync", "quickOS/shared-prod-data-sync", {"images", "rootdir"}),
               Zfs("fastData-shared-test-data", "fastData/shared-test-data", {"images", "rootdir"}),
               Zfs("fastData-shared-test-data-sync", "fastData/shared-test-data-sync", {"images"}),
               Dir("fastData-shared-backups", "/fastData/shared-backups", {"backup"}),
               Zfs("fastData-shared-bulk-data", "fastData/shared-bulk-data", {"images"})});
}

class SimWorld {
 protected:
  SimWorld()
      : directory_(MakeDirectory()),
        machine_(*kit::Machine::Open(directory_)),
        host_(machine_),
        // The spec travels beside the bytes, since this room knows no protobuf.
        domain_(
            host_,
            [this](std::string_view, std::string_view) -> absl::StatusOr<ProxmoxSpec> { return wanted_; }),
        driver_(std::make_unique<testing::StepDriver>(domain_)) {
    EXPECT_TRUE(ProxmoxSim::Install(*machine_, "pve1").ok());
    for (const char* dataset :
         {"quickOS/vm-disks", "quickOS/lxc-disks", "quickOS/shared-prod-data",
          "quickOS/shared-prod-data-sync", "fastData/shared-test-data", "fastData/shared-test-data-sync",
          "fastData/shared-backups", "fastData/shared-bulk-data"}) {
      Mount(dataset);
    }
  }
  ~SimWorld() { std::filesystem::remove_all(directory_); }

  void Mount(const std::string& dataset) {
    const std::string path = "/" + dataset;
    Change([&](kit::World& world) -> absl::Status {
      PHX_RETURN_IF_ERROR(
          world.Put(kSimPool, dataset.substr(0, dataset.find('/')), nlohmann::json::object()));
      PHX_RETURN_IF_ERROR(world.Put(kSimDataset, dataset, {{"mounted", path}}));
      PHX_RETURN_IF_ERROR(world.WriteFile(path.substr(0, path.find('/', 1)), {true, {"", 0, 0, 0755}}));
      return world.WriteFile(path, {true, {"", 0, 0, 0755}});
    });
  }
  void Unmount(const std::string& path) {
    Change([&](kit::World& world) { return world.Put(kSimDataset, path.substr(1), {{"mounted", ""}}); });
  }
  void WriteConfig(const std::string& text) { WriteFile(kStorageConfigPath, text); }
  void WriteGuest(const std::string& name, const std::string& text) {
    WriteFile("/etc/pve/nodes/pve1/" + name, text);
  }
  void WriteFile(const std::string& path, const std::string& text) {
    Change([&](kit::World& world) { return world.WriteFile(path, {false, {text, 0, 33, 0640}}); });
  }
  // Another node of the cluster.
  void AddNode(const std::string& name) {
    Change([&](kit::World& world) -> absl::Status {
      for (const char* folder : {"", "/qemu-server", "/lxc"})
        PHX_RETURN_IF_ERROR(world.WriteFile("/etc/pve/nodes/" + name + folder, {true, {"", 0, 33, 0755}}));
      return absl::OkStatus();
    });
  }
  void JoinCluster(const std::string& name, bool quorate = true) {
    WriteFile("/etc/pve/.members", R"({"nodename":"pve1","cluster":{"name":")" + name + R"(","quorate":)" +
                                       (quorate ? "1" : "0") + "}}");
  }
  void Uninstall() {
    Change([&](kit::World& world) { return world.RemoveFile("/usr/sbin/pvesm"); });
  }
  void EmptyEtcPve() {
    Change([&](kit::World& world) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto paths, world.FilesBelow("/etc/pve"));
      for (const auto& path : paths) PHX_RETURN_IF_ERROR(world.RemoveFile(path));
      return absl::OkStatus();
    });
  }
  // Takes it away as well.
  bool HasFault(const std::string& operation) {
    bool found = false;
    Change([&](kit::World& world) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto fault, world.TakeFault(operation));
      found = fault.has_value();
      return absl::OkStatus();
    });
    return found;
  }
  std::string Text() { return host_.files().Read(kStorageConfigPath)->value_or(FileState{}).content; }

  // The world with storage.cfg replaced by what it means: its bytes differ after every rewrite.
  std::string Dump() {
    const std::string whole = *machine_->Dump();
    std::string text;
    for (size_t at = 0; at < whole.size();) {
      const size_t end = whole.find('\n', at);
      const std::string line = whole.substr(at, end - at);
      if (line.rfind("file /etc/pve/storage.cfg", 0) != 0) text += line + "\n";
      at = end + 1;
    }
    for (const auto& [id, entry] : ParseStorageConfig(Text()).entries) text += CanonicalText(entry) + "\n";
    return text;
  }

  // Each answers, and keeps in last_, the first error.
  absl::Status Plan(const ProxmoxSpec& spec, std::vector<std::string> given = {}) {
    wanted_ = spec;
    kit::PlanInput input;
    input.removed_keys = removed_keys_;
    input.disturbed_keys = disturbed_keys_;
    input.secrets = secrets_;
    const kit::Ledger kept = driver_->ledger();
    driver_ = std::make_unique<testing::StepDriver>(domain_, std::move(given));
    driver_->ledger() = kept;
    last_ = driver_->Prepare(input, "run-1");
    plan_ = driver_->plan();
    return last_;
  }
  absl::Status Carry(const ProxmoxSpec& spec, std::vector<std::string> given = {}) {
    PHX_RETURN_IF_ERROR(Plan(spec, std::move(given)));
    return last_ = driver_->Apply();
  }
  absl::Status Undo(bool repeat = false) { return last_ = driver_->Undo(repeat); }
  kit::Ledger& ledger() { return driver_->ledger(); }
  kit::Step StepOf(const std::string& id) {
    for (const auto& step : plan_.steps) {
      if (step.resource == id) return step;
    }
    ADD_FAILURE() << "no step on " << id;
    return {};
  }

 private:
  static std::string MakeDirectory() {
    // In memory where there is such a folder: hundreds of runs would otherwise wait for the disk.
    const std::filesystem::path memory = "/dev/shm";
    const auto parent =
        std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "phoenix-proxmox-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    return pattern;
  }
  void Change(const std::function<absl::Status(kit::World&)>& body) {
    EXPECT_TRUE(machine_->Change(body).ok());
  }

  const std::string directory_;
  ProxmoxSpec wanted_;

 protected:
  std::shared_ptr<kit::Machine> machine_;
  ProxmoxSim host_;
  ProxmoxDomain domain_;
  std::unique_ptr<testing::StepDriver> driver_;
  kit::Plan plan_;
  absl::Status last_;
  std::vector<std::string> removed_keys_, disturbed_keys_;
  Secrets secrets_;
};

}  // namespace phoenix::proxmox

// tank/a with a file of somebody's, on a simulated node, for tests of steps that change its content.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/zfs/worker/zfs_test_machine.h"

namespace phoenix::zfs {

class ContentFixture : public ::testing::Test {
 protected:
  ContentFixture() {
    Change(CreatePool{"tank", {{"mirror", {kDiskA, kDiskB}}}, {}, {}});
    Change(CreateDataset{"tank/a", 0, {}});
    // The directory below the mount is there from the first unmount on, as on any node that was ever
    // restarted.
    Change(UnmountDataset{"tank/a"});
    Change(MountDataset{"tank/a"});
    Write("/tank/a/letter", "old", 0644);
    spec_.partial = true;
  }

  void Change(const ZfsChange& change) { TestMachine::Must(machine_.host().Change(change, nullptr)); }
  void Write(const std::string& path, const std::string& content, uint32_t mode) {
    TestMachine::Must(machine_.machine().Change(
        [&](kit::World& world) { return world.WriteFile(path, {false, {content, 1000, 1000, mode}}); }));
  }
  // "uid:gid mode content"
  std::string File(const std::string& path) {
    std::string text = "absent";
    TestMachine::Must(machine_.machine().Look([&](kit::World& world) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto file, world.ReadFile(path));
      if (file) {
        text = fmt::format("{}:{} {:o} {}", file->state.uid, file->state.gid, file->state.mode,
                           file->state.content);
      }
      return absl::OkStatus();
    }));
    return text;
  }
  std::vector<std::string> Snapshots() {
    ObserveRequest request;
    request.snapshots = true;
    std::vector<std::string> names;
    const auto seen = machine_.host().Observe(request);
    for (const auto& [name, snapshot] : seen->snapshots) names.push_back(name);
    return names;
  }
  TestMachine machine_;
  testing::StepDriver driver_{machine_.domain()};
  ZfsSpec spec_;
};

}  // namespace phoenix::zfs

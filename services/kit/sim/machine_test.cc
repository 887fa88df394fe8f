#include "services/kit/sim/machine.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::kit {
namespace {

class MachineTest : public ::testing::Test {
 protected:
  MachineTest() {
    char name[] = "/tmp/phoenix-sim-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_ = *Machine::Open(directory_);
  }
  ~MachineTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
  std::shared_ptr<Machine> machine_;
};

TEST_F(MachineTest, OutlivesWhoOpenedIt) {
  ASSERT_TRUE(
      machine_->Change([](World& world) { return world.Put("user", "heads", {{"uid", 1000}}); }).ok());
  machine_.reset();
  machine_ = *Machine::Open(directory_);
  ASSERT_TRUE(machine_
                  ->Look([](World& world) -> absl::Status {
                    PHX_ASSIGN_OR_RETURN(const auto user, world.Get("user", "heads"));
                    EXPECT_TRUE(user.has_value());
                    EXPECT_EQ((*user)["uid"], 1000);
                    return absl::OkStatus();
                  })
                  .ok());
}

TEST_F(MachineTest, NodesOfAClusterHaveTheirStoragesInCommonAndTheRestForThemselves) {
  std::filesystem::create_directories(directory_ + "/lab");
  std::vector<std::shared_ptr<Machine>> nodes;
  for (const char* node : {"/a", "/b"}) {
    std::filesystem::create_directories(directory_ + node);
    std::filesystem::create_directory_symlink(directory_ + "/lab", directory_ + node + "/cluster");
    nodes.push_back(*Machine::Open(directory_ + node));
    EXPECT_EQ(nodes.back()->cluster(), "lab");
  }
  const auto names = [&](size_t node) {
    std::vector<std::string> found;
    EXPECT_TRUE(nodes[node]
                    ->Look([&](World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(found, world.FilesBelow("/etc/pve"));
                      return absl::OkStatus();
                    })
                    .ok());
    return found;
  };
  EXPECT_TRUE(nodes[0]
                  ->Change([](World& world) -> absl::Status {
                    for (const char* path :
                         {"/etc/pve/.members", "/etc/pve/storage.cfg", "/etc/pve/priv", "/etc/pve/priv/x.pw"})
                      PHX_RETURN_IF_ERROR(world.WriteFile(path, {false, {"text", 0, 0, 0640}}));
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(names(0).size(), 4u);
  EXPECT_EQ(names(1),
            (std::vector<std::string>{"/etc/pve/priv", "/etc/pve/priv/x.pw", "/etc/pve/storage.cfg"}));
  EXPECT_TRUE(nodes[1]->Change([](World& world) { return world.RemoveFile("/etc/pve/storage.cfg"); }).ok());
  EXPECT_EQ(names(0).size(), 3u);
  EXPECT_EQ(machine_->cluster(), "");
}

TEST_F(MachineTest, AFailedChangeChangesNothing) {
  const auto before = machine_->Dump();
  const absl::Status status = machine_->Change([](World& world) -> absl::Status {
    PHX_RETURN_IF_ERROR(world.Put("user", "heads", {}));
    return Aborted("no");
  });
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(*machine_->Dump(), *before);
}

TEST_F(MachineTest, PowerCutDropsWhatWasNotSynced) {
  SimFiles files(machine_);
  ASSERT_TRUE(files.Replace("/etc/kept", {"old", 0, 0, 0644}).ok());
  ASSERT_TRUE(machine_
                  ->Change([](World& world) -> absl::Status {
                    PHX_RETURN_IF_ERROR(
                        world.WriteFile("/etc/kept", {false, {"new", 0, 0, 0600}}, /*synced=*/false));
                    return world.WriteFile("/etc/lost", {false, {"x", 0, 0, 0600}}, /*synced=*/false);
                  })
                  .ok());
  ASSERT_TRUE(machine_->PowerCut().ok());
  EXPECT_EQ((*files.Read("/etc/kept"))->content, "old");
  EXPECT_FALSE(files.Read("/etc/lost")->has_value());
}

TEST_F(MachineTest, FaultsAreTakenOnce) {
  ASSERT_TRUE(machine_->PlanFault("nfs.exportfs", "fail", 2).ok());
  int taken = 0;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(machine_
                    ->Change([&](World& world) -> absl::Status {
                      PHX_ASSIGN_OR_RETURN(const auto fault, world.TakeFault("nfs.exportfs"));
                      taken += fault.has_value() ? 1 : 0;
                      return absl::OkStatus();
                    })
                    .ok());
  }
  EXPECT_EQ(taken, 2);
}

TEST_F(MachineTest, FilesNeedTheirDirectory) {
  SimFiles files(machine_);
  EXPECT_EQ(files.Replace("/etc/exports.d/phoenix.exports", {}).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(files.MakeDirectory("/etc/exports.d", {}).ok());
  ASSERT_TRUE(files.Replace("/etc/exports.d/phoenix.exports", {}).ok());
  EXPECT_FALSE(files.RemoveDirectory("/etc/exports.d").ok());
  EXPECT_EQ(files.List("/etc/exports.d")->size(), 1u);
}

}  // namespace
}  // namespace phoenix::kit

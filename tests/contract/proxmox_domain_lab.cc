// Whole runs of the domain on real tools: done, verified, planned again, undone.
#include <gmock/gmock.h>

#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/worker/proxmox_domain.h"
#include "tests/contract/proxmox_lab_world.h"
#include "tests/support/step_driver.h"

namespace phoenix::proxmox {
namespace {

class ProxmoxLabRun : public ::testing::Test {
 protected:
  ProxmoxLabRun()
      : domain_(world_.host(), [this](std::string_view, std::string_view) -> absl::StatusOr<ProxmoxSpec> {
          return wanted_;
        }) {}

  StorageSpec Dir(const std::string& id, Words content) {
    StorageSpec spec;
    spec.id = id;
    spec.type = "dir";
    spec.content = std::move(content);
    // No dataset is needed: the folder lies on whatever is below, as declared.
    spec.options = {{"path", world_.folder() + "/" + id}, {"is_mountpoint", "0"}};
    return spec;
  }
  std::string State() {
    const auto config = world_.host().ReadStorages();
    EXPECT_TRUE(config.ok()) << config.status();
    std::string text = world_.Folders(world_.folder());
    for (const auto& [id, entry] : config->entries) text += CanonicalText(entry) + "\n";
    return text;
  }
  void MakeFolder(const std::string& path) {
    EXPECT_TRUE(world_.host().files().MakeDirectory(path, {0, 0, 0755}).ok());
  }

  LabContractWorld world_;
  ProxmoxSpec wanted_;
  ProxmoxDomain domain_;
};

TEST_F(ProxmoxLabRun, StoppedAfterAnyStepUndoBringsTheOldStateBackAndASecondPlanIsEmpty) {
  for (const char* id : {"phxct-new", "phxct-old"}) MakeFolder(world_.folder() + "/" + id);
  ASSERT_TRUE(
      world_.host()
          .Add({"phxct-old", "dir", Words{"iso"}, {}, {{"path", world_.folder() + "/phxct-old"}}, false},
               nullptr)
          .ok());
  // Changed, added.
  auto old = Dir("phxct-old", {"iso", "backup"});
  old.options["prune-backups"] = "keep-last=2";
  wanted_.storages = {old, Dir("phxct-new", {"vztmpl", "snippets"})};
  const std::string before = State();
  kit::PlanInput input;
  for (size_t count = 0; count <= 2; ++count) {
    testing::StepDriver driver(domain_);
    const absl::Status prepared = driver.Prepare(input, "run");
    ASSERT_TRUE(prepared.ok()) << prepared;
    ASSERT_EQ(driver.plan().steps.size(), 2u);
    const absl::Status applied = driver.Apply(count, /*repeat=*/true);
    ASSERT_TRUE(applied.ok()) << applied;
    if (count == 2) {
      const auto report = domain_.Verify({driver.plan().steps, nullptr});
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_THAT(report->probes, ::testing::Contains("storage:phxct-new: active"));
      testing::StepDriver second(domain_);
      ASSERT_TRUE(second.Prepare(input, "second").ok());
      EXPECT_TRUE(second.plan().steps.empty());
    }
    const absl::Status undone = driver.Undo(/*repeat=*/true);
    ASSERT_TRUE(undone.ok()) << undone;
    EXPECT_EQ(State(), before) << count;
  }
}

}  // namespace
}  // namespace phoenix::proxmox

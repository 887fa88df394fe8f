// The whole NFS domain on a real node: plan, apply, verify by a mount, plan again, undo. Run as root on a lab
// machine with nfs-kernel-server and a mounted ZFS dataset; everything is taken back. The lab compares the
// node's fingerprint before and after.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "base/host/posix_command_runner.h"
#include "base/host/posix_files.h"
#include "services/nfs/host/libnfs_probe.h"
#include "services/nfs/host/nfs_cli.h"
#include "services/nfs/worker/nfs_domain.h"
#include "services/node/host/node_cli.h"
#include "tests/support/lab_setting.h"
#include "tests/support/step_driver.h"

namespace phoenix::nfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string DatasetPath() {
  return "/" + testing::LabSetting("PHOENIX_CONTRACT_DATASET", "PHOENIX_CONTRACT_DATASET-is-not-set");
}

class NfsDomainLab : public ::testing::Test {
 protected:
  NfsDomainLab()
      : runner_(testing::Launcher()),
        host_(runner_, files_),
        node_(runner_, files_),
        domain_(host_, probe_, node_,
                [this](std::string_view, std::string_view) -> absl::StatusOr<NfsSpec> { return spec_; }) {}

  static ExportSpec Wanted(const std::string& path, std::vector<std::string> options) {
    ExportSpec spec{path, {}, Presence::kPresent, "lab", ""};
    // The node is its own client by its loopback address.
    for (const char* client : {"127.0.0.0/8", "192.0.2.0/24"}) spec.clients.push_back({client, options});
    return spec;
  }

  PosixCommandRunner runner_;
  PosixFiles files_;
  NfsCli host_;
  LibnfsProbe probe_;
  node::NodeCli node_;
  NfsSpec spec_;
  NfsDomain domain_;
};

TEST_F(NfsDomainLab, ExportsAreMadeMountedAndTakenBack) {
  spec_.exports = {Wanted(DatasetPath(), {"rw", "no_root_squash"})};
  phoenix::testing::StepDriver driver(domain_);
  const absl::Status prepared = driver.Prepare({}, "7d8a51c8-1111-4222-8333-444455556666");
  ASSERT_TRUE(prepared.ok()) << prepared;
  for (const auto& step : driver.plan().steps) std::cout << step.id << ": " << step.action << "\n";
  for (const auto& note : driver.plan().notes) std::cout << "note: " << note.text << "\n";
  const absl::Status applied = driver.Apply(static_cast<size_t>(-1), /*repeat=*/true);
  EXPECT_TRUE(applied.ok()) << applied;
  const auto report = domain_.Verify({driver.plan().steps, nullptr});
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) {
    EXPECT_THAT(report->probes,
                ElementsAre(HasSubstr(DatasetPath() + ": NFSv4 mount from 127.0.0.1, root may write")));
    EXPECT_THAT(report->not_probed, IsEmpty());
  }
  // The second plan has nothing to do.
  const auto again = domain_.MakePlan({"", "", {}, {}, {}, driver.ledger(), Secret(), false});
  EXPECT_TRUE(again.ok()) << again.status();
  if (again.ok()) {
    EXPECT_THAT(again->steps, IsEmpty());
  }
  const absl::Status undone = driver.Undo(/*repeat=*/true);
  EXPECT_TRUE(undone.ok()) << undone;
  EXPECT_FALSE(probe_.Mount("127.0.0.1", kStandardPort, DatasetPath()).ok());
}

TEST_F(NfsDomainLab, ASquashedRootIsMetByTheProbe) {
  for (const auto& [options, writable] : std::vector<std::pair<std::vector<std::string>, bool>>{
           {{"rw"}, false}, {{"ro", "no_root_squash"}, false}, {{"rw", "no_root_squash"}, true}}) {
    spec_.exports = {Wanted(DatasetPath(), options)};
    phoenix::testing::StepDriver driver(domain_);
    ASSERT_TRUE(driver.Prepare({}, "7d8a51c8-1111-4222-8333-444455556666").ok());
    const absl::Status applied = driver.Apply();
    EXPECT_TRUE(applied.ok()) << applied;
    const auto finding = probe_.Mount("127.0.0.1", kStandardPort, DatasetPath());
    EXPECT_TRUE(finding.ok()) << finding.status();
    if (finding.ok()) {
      EXPECT_EQ(finding->writable, writable) << options[0];
    }
    const auto report = domain_.Verify({driver.plan().steps, nullptr});
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(driver.Undo().ok());
  }
}

// Of two flushes of the kernel's cache within a second, the second has no effect for up to half a minute, and
// the file system stays busy.
TEST_F(NfsDomainLab, AfterTheUndoTheKernelHoldsTheFileSystemNoMore) {
  for (int round = 0; round < 3; ++round) {
    spec_.exports = {Wanted(DatasetPath(), {"rw", "no_root_squash"})};
    phoenix::testing::StepDriver driver(domain_);
    ASSERT_TRUE(driver.Prepare({}, "7d8a51c8-1111-4222-8333-444455556666").ok());
    ASSERT_TRUE(driver.Apply().ok());
    ASSERT_TRUE(probe_.Mount("127.0.0.1", kStandardPort, DatasetPath()).ok());
    const absl::Status undone = driver.Undo(/*repeat=*/true);
    EXPECT_TRUE(undone.ok()) << undone;
    const auto kernel = files_.Read("/proc/fs/nfsd/exports");
    ASSERT_TRUE(kernel.ok() && kernel->has_value());
    EXPECT_THAT((*kernel)->content, ::testing::Not(HasSubstr(DatasetPath())));
  }
}

// N6 on the real server: what is not mounted is not served, though the table has it.
TEST_F(NfsDomainLab, N6_WithoutItsFileSystemThePathIsNotServed) {
  const std::string missing = "/srv/phoenix-not-mounted";
  std::filesystem::create_directory(missing);
  ExportSpec wanted = Wanted(missing, {"rw", "no_root_squash"});
  wanted.mount_point = missing;
  spec_.exports = {wanted};
  // Somebody else says that the path is provided.
  phoenix::testing::StepDriver driver(domain_, {"path:" + missing});
  const absl::Status prepared = driver.Prepare({}, "7d8a51c8-1111-4222-8333-444455556666");
  ASSERT_TRUE(prepared.ok()) << prepared;
  const absl::Status applied = driver.Apply();
  EXPECT_TRUE(applied.ok()) << applied;
  EXPECT_FALSE(domain_.Verify({driver.plan().steps, nullptr}).ok());
  EXPECT_TRUE(driver.Undo().ok());
  std::filesystem::remove(missing);
}

}  // namespace
}  // namespace phoenix::nfs

// ZFS as a participant: the kit's Domain over the planner and the host.
#pragma once

#include <absl/synchronization/mutex.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time/clock.h"
#include "services/kit/participant/domain.h"
#include "services/zfs/domain/zfs_planner.h"
#include "services/zfs/host/zfs_host.h"
#include "services/zfs/worker/zfs_reaper.h"

namespace phoenix::zfs {

inline constexpr std::string_view kSpecType = "phoenix.zfs.v1.ZfsSpec";

// INVALID_ARGUMENT for bytes that are no such spec, or for another type.
using SpecParser = std::function<absl::StatusOr<ZfsSpec>(std::string_view type, std::string_view bytes)>;

class ZfsDomain final : public kit::Domain {
 public:
  // `record_directory`: where journal and ledger lie, "" where that is on another machine (a simulated one's
  // daemon).
  ZfsDomain(ZfsHost& host, const Clock& clock, SpecParser parser, std::string record_directory = {},
            Retention retention = {})
      : host_(host),
        clock_(clock),
        parser_(std::move(parser)),
        record_directory_(std::move(record_directory)),
        reaper_(host, clock, retention, asides_) {}

  // What old runs left goes by retention: at once, after every run that is closed, and every `tick`.
  void StartReaping(std::chrono::seconds tick) { reaper_.Start(tick); }
  Reaper& reaper() { return reaper_; }

  kit::DomainDescription Describe() override;
  // Of the pools, and of every disk that tells how it is.
  absl::StatusOr<std::vector<kit::Condition>> Conditions() override;
  absl::StatusOr<std::vector<kit::ObservedField>> Observe(const std::vector<std::string>& keys) override;
  absl::StatusOr<kit::Plan> MakePlan(const kit::PlanInput& input) override;
  absl::StatusOr<std::vector<std::string>> CheckpointsOf(
      const std::vector<kit::Step>& steps, const std::vector<std::string>& disturbed_keys) override;
  // Snapshots what the steps change and what others' steps write into, one for each pool.
  absl::Status Checkpoint(const std::string& run_id, const std::vector<kit::Step>& steps,
                          const std::vector<std::string>& disturbed_keys) override;
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id) override;
  absl::Status Do(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step, const kit::StepContext& context) override;
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context) override;
  std::vector<std::string> RemainingCommands(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step, const kit::StepContext& context) override;
  // What a dataset or pool of the run holds by now was made by others.
  absl::StatusOr<kit::Retrospect> LookBack(const kit::Step& step, const kit::StepContext& context) override;
  // What is in a pool that was imported; owners and files in what was locked.
  bool ComesToLight(const kit::Step& step, const std::vector<kit::Step>& applied) override;
  absl::StatusOr<kit::VerifyReport> Verify(const kit::VerifyInput& input) override;
  // Lets the run's snapshots go where it is committed, and destroys those that it deleted; takes them away
  // where it is undone.
  absl::Status Close(const std::string& run_id, bool committed) override;

 private:
  ZfsHost& host_;
  const Clock& clock_;
  const SpecParser parser_;
  const std::string record_directory_;
  absl::Mutex asides_;
  Reaper reaper_;
};

}  // namespace phoenix::zfs

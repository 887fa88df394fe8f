// A participant whose journal's disk goes wrong at its n-th write or fsync, for every n: full, in error, or
// without power and with what was not synced lost. Whatever happens, the transaction ends COMMITTED with the
// machine new or UNDONE with the machine old, no acknowledged step is lost, nothing is done twice, and while
// the reserve is gone nothing new begins.
//
// PHOENIX_FAULT_SLICE=K/N takes every N-th case from the K-th on; unset, all of them.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "base/time/fake_clock.h"
#include "services/kit/participant/fake_domain.h"
#include "services/kit/participant/participant.h"
#include "tests/support/disk_cases.h"

namespace phoenix::kit {
namespace {

using ::phoenix::testing::Ballast;
using ::phoenix::testing::CaseReserve;
using ::phoenix::testing::DiskCase;
using ::phoenix::testing::DiskFault;
using ::phoenix::testing::FaultVfs;
using ::phoenix::testing::kDiskCases;
using ::phoenix::testing::Unsynced;
using Fields = std::map<std::string, std::string>;

constexpr char kSpec[] = "a=new b=2:a";
const Fields kOld = {{"a", "old"}};
const Fields kNew = {{"a", "new"}, {"b", "2"}};
// So often an outage is met before it ends.
constexpr int kOutage = 3;
constexpr int kPatience = 50;

enum class Journey { kDone, kUndone, kLocal };

class NoSiblings final : public Siblings {
 public:
  absl::StatusOr<SiblingState> Get(const std::string&, const std::string&) override {
    return Unavailable("there is none");
  }
  absl::Status JoinUndo(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::Status MayGo(const std::vector<std::string>&, const std::vector<std::string>&) override {
    return absl::OkStatus();
  }
};

// The orchestrator asks again until it is answered: node_calls.cc.
bool IsTransient(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

// One node and an orchestrator in few lines.
class World {
 public:
  World(const DiskCase& what, Journey journey, int64_t at) : case_(what), journey_(journey), at_(at) {
    char name[] = "/tmp/phoenix-fault-XXXXXX";
    directory_ = ::mkdtemp(name);
    machine_.Set("a", "old");
  }
  ~World() {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  // False where the fault was never met. `failure()` says what went wrong.
  bool Run() {
    // The journal's own birth is part of it.
    disk_.Plan(case_.fault, at_, case_.times);
    if (!Start()) Recover();
    if (journey_ == Journey::kLocal) {
      RunLocally();
    } else {
      RunFromOutside();
    }
    const bool fired = disk_.fired();
    disk_.Heal();
    if (failure_.empty()) CheckReserve();
    return fired;
  }
  const std::string& failure() const { return failure_; }

 private:
  bool Start() {
    Stop();
    dead_ = started_ = false;
    DatabaseOptions options{.reserve = &reserve_, .on_broken = [this](const absl::Status&) { dead_ = true; }};
    options.vfs = disk_.name();
    auto journal = Journal::Open(directory_, std::move(options));
    if (!journal.ok()) return false;
    journal_ = *std::move(journal);
    domain_ = std::make_unique<FakeDomain>(machine_);
    if (journey_ == Journey::kUndone) domain_->fail_do = {"b"};
    participant_ = std::make_unique<Participant>(
        *domain_, *journal_, clock_, siblings_,
        Participant::Settings{
            .node_key = Secret("k"), .boot_id = "boot", .tick = std::chrono::milliseconds(1)});
    started_ = participant_->Recover().ok() && !dead_;
    return started_;
  }
  void Stop() {
    participant_.reset();
    domain_.reset();
    journal_.reset();
  }
  // What systemd does with a daemon that ended, and somebody with the disk after a while.
  void Recover() {
    ++outages_;
    if (outages_ >= kOutage) disk_.Heal();
    if (!dead_ && participant_ != nullptr && started_) return;
    do {
      Stop();
      disk_.Restart(case_.unsynced, static_cast<uint32_t>(at_));
      if (++outages_ >= kOutage) disk_.Heal();
    } while (!Start() && Goes());
  }
  bool Goes() {
    if (outages_ < kPatience) return true;
    Fail("it does not end");
    return false;
  }
  void Fail(const std::string& text) {
    if (failure_.empty()) failure_ = text;
  }

  template <class Call>
  absl::Status Insist(const Call& call) {
    while (failure_.empty()) {
      const absl::Status status = call();
      // A daemon that died answers nobody, whatever it was about to say.
      if (!dead_ && !IsTransient(status)) return status;
      if (!Goes()) break;
      Recover();
    }
    return Internal("gave up: {}", failure_);
  }

  RunContext Context() { return {"run-1", 1, "authority-1", 1, journal_id_}; }

  absl::Status GoForward() {
    PHX_RETURN_IF_ERROR(Insist([&]() -> absl::Status {
      PrepareInput input;
      input.wanted = {.spec_type = "fake", .spec = kSpec};
      auto plan = participant_->MakePlan(input.wanted);
      if (!plan.ok()) return plan.status();
      if (journal_id_.empty()) journal_id_ = plan->journal_id;
      input.plan_digest = plan->plan_digest;
      input.context = Context();
      input.participants = {"fake"};
      absl::Status prepared = participant_->Prepare(input).status();
      const auto reason = ReasonOf(prepared);
      // The reserve went before the transaction began; it begins once there is room again.
      if (reason && reason->reason == "NO_RESERVE" && case_.ballast == Ballast::kHelps) {
        reserve_.room = true;
        return participant_->Prepare(input).status();
      }
      return prepared;
    }));
    for (const char* step : {"a", "b"}) {
      PHX_RETURN_IF_ERROR(Insist([&]() -> absl::Status {
        auto outcomes = participant_->Apply(Context(), {step});
        if (!outcomes.ok()) return outcomes.status();
        if ((*outcomes)[0].result == Outcome::Result::kDone) return absl::OkStatus();
        return Internal("{}: {}", step, (*outcomes)[0].error);
      }));
      acknowledged_.push_back(step);
    }
    PHX_RETURN_IF_ERROR(Insist([&] { return participant_->Verify(Context(), {}).status(); }));
    return Insist([&] { return participant_->PrepareCommit(Context()); });
  }

  void RunFromOutside() {
    const absl::Status forward = GoForward();
    if (!failure_.empty()) return;
    // With the reserve's help nobody notices that the disk was full.
    if (case_.fault == DiskFault::kFull && case_.ballast == Ballast::kHelps && journey_ == Journey::kDone &&
        !forward.ok()) {
      Fail("undone although there was a reserve: " + Message(forward));
    }
    if (forward.ok()) {
      if (journey_ == Journey::kUndone) Fail("a step that fails was committed");
      const absl::Status committed = Insist([&] { return participant_->Commit(Context()); });
      if (!committed.ok()) Fail("Commit: " + Message(committed));
      Check(TransactionState::kCommitted, "run-1");
      return;
    }
    if (journal_id_.empty()) return Fail("no plan: " + Message(forward));
    const absl::Status undone = Insist([&]() -> absl::Status {
      auto answer = participant_->Undo(Context(), {}, "test");
      if (!answer.ok()) return answer.status();
      return answer->undone ? absl::OkStatus() : Unavailable("undo goes on");
    });
    if (!undone.ok()) Fail("Undo: " + Message(undone));
    Check(TransactionState::kUndone, "run-1");
  }

  void RunLocally() {
    // A caller that is told nothing asks again with the same request id.
    const absl::Status changed = Insist([&] {
      return participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = kSpec}, .request_id = "r"})
          .status();
    });
    if (!failure_.empty()) return;
    std::optional<TransactionRow> row;
    while (Goes()) {
      const auto found = journal_->FindByRequest("r");
      if (found.ok() && (!*found || !IsOpen((*found)->state))) {
        row = *found;
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (dead_) Recover();
    }
    if (!row) {
      if (changed.ok()) Fail("acknowledged and forgotten");
      if (machine_.Fields() != kOld) Fail("something was done that nobody remembers");
      return;
    }
    if (changed.ok() && row->state != TransactionState::kCommitted) Fail("acknowledged and not kept");
    Check(row->state, row->run_id);
  }

  void Check(TransactionState wanted, const std::string& run_id) {
    if (!failure_.empty()) return;
    // Once more from the disk: what was answered must be there.
    Stop();
    disk_.Heal();
    disk_.Restart(Unsynced::kLost, 0);
    if (!Start()) return Fail("it does not start on a sound disk");
    const auto record = journal_->Read(run_id);
    if (!record.ok() || !*record) return Fail("the transaction is gone");
    const TransactionState state = (*record)->row.state;
    if (state != wanted) Fail("it is " + std::string(ToText(state)));
    const bool committed = state == TransactionState::kCommitted;
    if (machine_.Fields() != (committed ? kNew : kOld)) Fail("the machine is in between");
    for (const StepRow& step : (*record)->steps) {
      if (committed && step.state != StepState::kDone) Fail(step.step.id + " was lost");
      if (!committed && step.state != StepState::kReverted) Fail(step.step.id + " was not undone");
    }
    if (committed && machine_.Effects() != 2) Fail("a step was done twice");
    const auto ledger = journal_->ReadLedger();
    if (!ledger.ok() || ledger->size() != (committed ? 2U : 0U)) Fail("the ledger is wrong");
  }

  // Nothing new while the reserve is gone; with room for it, as ever.
  void CheckReserve() {
    const auto begin = [&] {
      PrepareInput input;
      input.wanted = {.spec_type = "fake", .spec = "c=3"};
      const auto plan = participant_->MakePlan(input.wanted);
      input.plan_digest = plan->plan_digest;
      input.context = {"run-2", 1, "authority-1", 1, journal_->id()};
      input.participants = {"fake"};
      return participant_->Prepare(input).status();
    };
    if (!reserve_.held) {
      const absl::Status refused = begin();
      const auto reason = ReasonOf(refused);
      if (!reason || reason->reason != "NO_RESERVE") Fail("not refused: " + refused.ToString());
      const absl::Status local =
          participant_->ChangeLocally({.wanted = {.spec_type = "fake", .spec = "c=3"}}).status();
      if (local.code() != absl::StatusCode::kFailedPrecondition) Fail("a change was not refused");
      reserve_.room = true;
    }
    if (const absl::Status begun = begin(); !begun.ok()) Fail("nothing new begins: " + Message(begun));
  }

  const DiskCase& case_;
  const Journey journey_;
  const int64_t at_;
  std::string directory_;
  FaultVfs disk_;
  CaseReserve reserve_{disk_, case_.ballast};
  FakeMachine machine_;
  FakeClock clock_;
  NoSiblings siblings_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<FakeDomain> domain_;
  std::unique_ptr<Participant> participant_;
  std::atomic<bool> dead_{false};
  bool started_ = false;
  std::string journal_id_;
  std::vector<std::string> acknowledged_;
  int outages_ = 0;
  std::string failure_;
};

class DiskFaultTest : public ::testing::TestWithParam<Journey> {};

TEST_P(DiskFaultTest, EveryWriteAndFsync) {
  const auto slice = ::phoenix::testing::FaultSlice();
  for (const DiskCase& what : kDiskCases) {
    std::atomic<int64_t> next{1 + slice.part}, tried{0};
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    std::mutex failures_mutex;
    for (unsigned i = 0; i < std::max(2U, std::thread::hardware_concurrency()); ++i) {
      threads.emplace_back([&] {
        while (!over) {
          const int64_t at = next.fetch_add(slice.parts);
          World world(what, GetParam(), at);
          const bool fired = world.Run();
          if (!world.failure().empty()) {
            std::lock_guard<std::mutex> lock(failures_mutex);
            ADD_FAILURE() << what.name << " at " << at << ": " << world.failure();
            over = true;
          }
          if (!fired) over = true;
          if (fired) ++tried;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(tried, 15 / slice.parts) << what.name << " met nothing";
    RecordProperty(what.name, std::to_string(tried));
    std::printf("%-40s %4ld cases\n", what.name, static_cast<long>(tried));
    std::fflush(stdout);
  }
}

INSTANTIATE_TEST_SUITE_P(Journeys, DiskFaultTest,
                         ::testing::Values(Journey::kDone, Journey::kUndone, Journey::kLocal),
                         [](const auto& info) {
                           return info.param == Journey::kDone     ? "Done"
                                  : info.param == Journey::kUndone ? "Undone"
                                                                   : "Local";
                         });

}  // namespace
}  // namespace phoenix::kit

// A run store whose disk goes wrong at its n-th write or fsync, for every n. Whatever happens, the log holds
// every event that was acknowledged, at most one more, its chain is whole, and each leadership has a higher
// epoch.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/status/errors.h"
#include "base/time/fake_clock.h"
#include "orchestrator/store/event_json.h"
#include "orchestrator/store/run_store.h"
#include "tests/support/disk_cases.h"

namespace phoenix::store {
namespace {

using ::phoenix::testing::Ballast;
using ::phoenix::testing::CaseReserve;
using ::phoenix::testing::DiskCase;
using ::phoenix::testing::DiskFault;
using ::phoenix::testing::FaultVfs;
using ::phoenix::testing::kDiskCases;
using ::phoenix::testing::Unsynced;

constexpr run::Phase kPhases[] = {run::Phase::kPreparing, run::Phase::kApplying, run::Phase::kVerifying,
                                  run::Phase::kCommitting, run::Phase::kCommitted};
// So often an outage is met before it ends.
constexpr int kOutage = 3;
constexpr int kPatience = 50;

class StoreWorld {
 public:
  StoreWorld(const DiskCase& what, int64_t at) : case_(what), at_(at) {
    char name[] = "/tmp/phoenix-store-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~StoreWorld() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // False where the fault was never met. `failure()` says what went wrong.
  bool Run() {
    disk_.Plan(case_.fault, at_, case_.times);
    if (!Lead()) Recover();
    CreateRun();
    for (const run::Phase phase : kPhases) AppendPhase(phase);
    const bool fired = disk_.fired();
    CheckEnd();
    return fired;
  }
  const std::string& failure() const { return failure_; }

 private:
  // The start of an orchestrator.
  bool Lead() {
    store_.reset();
    dead_ = false;
    DatabaseOptions options{.reserve = &reserve_, .on_broken = [this](const absl::Status&) { dead_ = true; }};
    options.vfs = disk_.name();
    auto store = SqliteRunStore::Open(directory_ + "/runs.db", clock_, std::move(options));
    if (!store.ok()) return false;
    store_ = *std::move(store);
    const auto leadership = store_->TakeLeadership();
    if (!leadership.ok() || dead_) return false;
    if (leadership->epoch <= epoch_) Fail("an epoch was given twice");
    if (!authority_.empty() && authority_ != leadership->authority) Fail("the store has another authority");
    epoch_ = leadership->epoch;
    authority_ = leadership->authority;
    return true;
  }
  void Recover() {
    do {
      if (++outages_ >= kOutage) disk_.Heal();
      if (outages_ > kPatience) return Fail("it does not end");
      store_.reset();
      disk_.Restart(case_.unsynced, static_cast<uint32_t>(at_));
    } while (!Lead());
  }
  void Fail(const std::string& text) {
    if (failure_.empty()) failure_ = text;
  }
  // True when `done`; otherwise the world is ready for another look.
  template <class Result>
  bool Settled(const Result& result) {
    if (!dead_ && result.ok()) return true;
    const bool helped = case_.fault == DiskFault::kFull && case_.ballast == Ballast::kHelps;
    if (helped) Fail("a full disk was noticed in spite of the reserve: " + Message(result.status()));
    if (dead_) {
      Recover();
    } else if (++outages_ >= kOutage) {
      disk_.Heal();
    }
    if (outages_ > kPatience) Fail("it does not end");
    return false;
  }

  void CreateRun() {
    run::Event event;
    event.kind = run::Event::Kind::kCreated;
    event.request = std::make_shared<run::Request>(run::Request{.title = "t", .nodes = {{"a", "unix:/x"}}});
    // The caller asks again with the same request id.
    while (failure_.empty()) {
      const auto found = store_->FindByRequest("request");
      if (found.ok() && *found) break;
      const bool held = reserve_.held;
      const auto created = store_->Create("r", "request", epoch_, event);
      const auto reason = ReasonOf(created.status());
      if (reason && reason->reason == "NO_RESERVE") {
        if (held) Fail("refused although there is a reserve");
        reserve_.room = true;
        continue;
      }
      if (Settled(created)) break;
    }
    acknowledged_ = 1;
  }

  void AppendPhase(run::Phase phase) {
    while (failure_.empty()) {
      const auto log = store_->Load("r");
      if (!log.ok()) {
        (void)Settled(log);
        if (log.status().code() == absl::StatusCode::kNotFound) Fail("an acknowledged run is gone");
        continue;
      }
      if (log->size() < acknowledged_) return Fail("an acknowledged event is gone");
      if (log->size() > acknowledged_ + 1) return Fail("there is more than was written");
      // What was not acknowledged may be there all the same; then it is as it was meant.
      if (log->size() == acknowledged_ + 1) {
        if (log->back().phase != phase) return Fail("another event came out of it");
        ++acknowledged_;
        return;
      }
      run::Event event;
      event.kind = run::Event::Kind::kPhaseBegan;
      event.phase = phase;
      if (Settled(store_->Append("r", epoch_, log->back().hash, event))) {
        ++acknowledged_;
        return;
      }
    }
  }

  void CheckEnd() {
    if (!failure_.empty()) return;
    store_.reset();
    disk_.Heal();
    disk_.Restart(Unsynced::kLost, 0);
    if (!Lead()) return Fail("it does not open on a sound disk");
    const auto log = store_->Load("r");
    if (!log.ok()) return Fail(Message(log.status()));
    if (log->size() != 1 + std::size(kPhases)) Fail("the log is not what was acknowledged");
    if (!reserve_.held) {
      run::Event event = log->front();
      if (ReasonOf(store_->Create("r2", "", epoch_, event).status())->reason != "NO_RESERVE")
        Fail("a run began without a reserve");
      reserve_.room = true;
      if (!store_->Create("r2", "", epoch_, event).ok()) Fail("with room again no run begins");
    }
  }

  const DiskCase& case_;
  const int64_t at_;
  std::string directory_;
  FakeClock clock_;
  FaultVfs disk_;
  CaseReserve reserve_{disk_, case_.ballast};
  std::unique_ptr<SqliteRunStore> store_;
  std::string authority_;
  int64_t epoch_ = 0;
  size_t acknowledged_ = 0;
  bool dead_ = false;
  int outages_ = 0;
  std::string failure_;
};

TEST(RunStoreFaultTest, EveryWriteAndFsync) {
  for (const DiskCase& what : kDiskCases) {
    int64_t at = 1;
    for (; at < 10'000; ++at) {
      StoreWorld world(what, at);
      const bool fired = world.Run();
      ASSERT_EQ(world.failure(), "") << what.name << " at " << at;
      if (!fired) break;
    }
    EXPECT_GT(at, 8) << what.name << " met nothing";
    std::printf("%-40s %4ld cases\n", what.name, static_cast<long>(at - 1));
  }
}

}  // namespace
}  // namespace phoenix::store

// A participant over FakeDomain, with siblings that a test speaks for.
#pragma once

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "base/time/fake_clock.h"
#include "services/kit/participant/fake_domain.h"
#include "services/kit/participant/participant.h"
#include "tests/support/status_matchers.h"

namespace phoenix::kit {

// Siblings whose states a test sets.
class FakeSiblings final : public Siblings {
 public:
  absl::StatusOr<SiblingState> Get(const std::string& participant, const std::string&) override {
    absl::MutexLock lock(&mutex);
    const auto state = states.find(participant);
    if (state == states.end()) return Unavailable("{} is silent", participant);
    return state->second;
  }
  absl::Status JoinUndo(const std::string& participant, const std::string&) override {
    absl::MutexLock lock(&mutex);
    joined.insert(participant);
    return absl::OkStatus();
  }
  absl::Status MayGo(const std::vector<std::string>& keys, const std::vector<std::string>&) override {
    absl::MutexLock lock(&mutex);
    for (const auto& key : keys) {
      if (needed.contains(key)) return FailedPrecondition("a sibling stands on {}", key);
    }
    return absl::OkStatus();
  }
  void Set(const std::string& participant, SiblingState state) {
    absl::MutexLock lock(&mutex);
    states[participant] = std::move(state);
  }
  absl::Mutex mutex;
  std::map<std::string, SiblingState> states ABSL_GUARDED_BY(mutex);
  std::set<std::string> joined ABSL_GUARDED_BY(mutex);
  std::set<std::string> needed ABSL_GUARDED_BY(mutex);
};

class ParticipantTest : public ::testing::Test {
 protected:
  ParticipantTest() {
    char name[] = "/tmp/phoenix-kit-XXXXXX";
    directory_ = ::mkdtemp(name);
    Start();
  }
  ~ParticipantTest() override {
    participant_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start(const std::string& boot_id = "boot-1") {
    participant_.reset();
    journal_ = *Journal::Open(directory_);
    domain_ = std::make_unique<FakeDomain>(machine_);
    participant_ = std::make_unique<Participant>(
        *domain_, *journal_, clock_, siblings_,
        Participant::Settings{
            .node_key = Secret("k"), .boot_id = boot_id, .tick = std::chrono::milliseconds(5)});
  }
  void Restart(const std::string& boot_id = "boot-1") {
    Start(boot_id);
    PHX_ASSERT_OK(participant_->Recover());
  }

  RunContext Context(const std::string& run = "run-1", int64_t epoch = 1) const {
    return {run, 1, "authority-1", epoch, journal_->id()};
  }
  PrepareInput Input(const std::string& spec, const std::string& run = "run-1") {
    PrepareInput input;
    input.context = Context(run);
    input.wanted.spec_type = "fake";
    input.wanted.spec = spec;
    input.plan_digest = participant_->MakePlan(input.wanted)->plan_digest;
    input.participants = {"fake"};
    return input;
  }
  absl::Status Prepare(const std::string& spec, const std::string& run = "run-1") {
    return participant_->Prepare(Input(spec, run)).status();
  }
  TransactionState StateOf(const std::string& run = "run-1") {
    const auto row = journal_->ReadRow(run);
    return *row ? (*row)->state : TransactionState::kNone;
  }
  // Waits for what another thread brings about. A test that waits in vain fails by its timeout.
  void AwaitState(TransactionState state, const std::string& run = "run-1") {
    while (StateOf(run) != state) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  std::string directory_;
  FakeMachine machine_;
  FakeClock clock_;
  FakeSiblings siblings_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<FakeDomain> domain_;
  std::unique_ptr<Participant> participant_;
};

}  // namespace phoenix::kit

// The engine over nodes in memory: real participants with real journals over fake domains, reached by calls
// that a test can lose. Steps are those of FakeDomain: "b=2:a" sets b to 2 and needs a, which any participant
// of the node may provide.
#pragma once

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "base/time/fake_clock.h"
#include "orchestrator/engine/run_engine.h"
#include "services/kit/participant/fake_domain.h"
#include "services/kit/participant/participant.h"
#include "services/kit/rpc/participant_convert.h"
#include "tests/support/status_matchers.h"

namespace phoenix::engine {

// FakeDomain with the order of all undos of its node written down.
class LoggedDomain final : public kit::Domain {
 public:
  LoggedDomain(kit::FakeMachine& machine, std::string name, std::function<void(const std::string&)> undoing)
      : domain(machine, name), name_(std::move(name)), undoing_(std::move(undoing)) {}
  kit::DomainDescription Describe() override { return domain.Describe(); }
  absl::StatusOr<std::vector<kit::ObservedField>> Observe(const std::vector<std::string>& keys) override {
    return domain.Observe(keys);
  }
  absl::StatusOr<kit::Plan> MakePlan(const kit::PlanInput& input) override {
    PHX_ASSIGN_OR_RETURN(kit::Plan plan, domain.MakePlan(input));
    for (kit::Step& step : plan.steps) {
      if (const auto known = classes.find(step.id); known != classes.end()) step.step_class = known->second;
    }
    return plan;
  }
  absl::StatusOr<std::vector<std::string>> CheckpointsOf(
      const std::vector<kit::Step>& steps, const std::vector<std::string>& disturbed_keys) override {
    return domain.CheckpointsOf(steps, disturbed_keys);
  }
  absl::Status Checkpoint(const std::string& run_id, const std::vector<kit::Step>& steps,
                          const std::vector<std::string>& disturbed_keys) override {
    return domain.Checkpoint(run_id, steps, disturbed_keys);
  }
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id) override {
    return domain.Capture(step, run_id);
  }
  absl::Status Do(const kit::Step& step, const kit::StepContext& context) override {
    return domain.Do(step, context);
  }
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step,
                                             const kit::StepContext& context) override {
    return domain.ProbeStep(step, context);
  }
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context) override {
    undoing_(name_ + ":" + step.id);
    return domain.Undo(step, context);
  }
  std::vector<std::string> RemainingCommands(const kit::Step& step,
                                             const kit::StepContext& context) override {
    return domain.RemainingCommands(step, context);
  }
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step,
                                             const kit::StepContext& context) override {
    return domain.LedgerOf(step, context);
  }
  absl::StatusOr<kit::VerifyReport> Verify(const kit::VerifyInput& input) override {
    return domain.Verify(input);
  }
  absl::Status Close(const std::string& run_id, bool committed) override {
    return domain.Close(run_id, committed);
  }

  kit::FakeDomain domain;
  // By step; others are exact.
  std::map<std::string, kit::StepClass> classes;

 private:
  const std::string name_;
  const std::function<void(const std::string&)> undoing_;
};

// One machine with its participants. They go with Down() and come back with Up(); machine and journals stay.
class FakeNode {
 public:
  FakeNode(const std::string& directory, const Clock& clock, std::vector<std::string> names)
      : directory_(directory), clock_(clock), names_(std::move(names)) {
    Up();
  }
  ~FakeNode() { Down(); }

  void Up() {
    std::map<std::string, std::unique_ptr<Part>> parts;
    for (const std::string& name : names_) {
      auto part = std::make_unique<Part>();
      std::filesystem::create_directories(directory_ + "/" + name);
      part->journal = *kit::Journal::Open(directory_ + "/" + name);
      part->domain = std::make_unique<LoggedDomain>(machine, name, [this](const std::string& undo) {
        absl::MutexLock lock(&mutex_);
        undone_.push_back(undo);
      });
      part->siblings = std::make_unique<NodeSiblings>(*this, name);
      part->domain->domain.fail_do = fail_do[name];
      part->domain->classes = classes[name];
      part->domain->domain.fail_undo = fail_undo[name];
      part->domain->domain.writes = writes[name];
      part->participant = std::make_unique<kit::Participant>(
          *part->domain, *part->journal, clock_, *part->siblings,
          kit::Participant::Settings{
              .node_key = Secret("k"), .boot_id = "boot", .tick = std::chrono::milliseconds(5)});
      parts[name] = std::move(part);
    }
    {
      absl::MutexLock lock(&mutex_);
      parts_ = std::move(parts);
      up_ = true;
    }
    for (const std::string& name : names_) PHX_EXPECT_OK(PartOf(name).participant->Recover());
  }

  // Waits for calls under way; what comes later finds nobody.
  void Down() {
    {
      absl::MutexLock lock(&mutex_);
      up_ = false;
      mutex_.Await(absl::Condition(+[](int* calls) { return *calls == 0; }, &calls_));
    }
    // Outside the lock: a participant that ends may be about to ask its siblings.
    for (auto& [name, part] : parts_) part->participant.reset();
    absl::MutexLock lock(&mutex_);
    parts_.clear();
  }

  // Runs `body` with the participant, or answers UNAVAILABLE where the node is down.
  absl::Status Call(const std::string& name, const std::function<absl::Status(kit::Participant&)>& body) {
    kit::Participant* participant = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (!up_) return Unavailable("nobody answers");
      ++calls_;
      participant = parts_.at(name)->participant.get();
    }
    const absl::Status status = body(*participant);
    absl::MutexLock lock(&mutex_);
    --calls_;
    return status;
  }

  kit::TransactionState StateOf(const std::string& name, const std::string& run_id) {
    kit::TransactionState state = kit::TransactionState::kNone;
    PHX_EXPECT_OK(Call(name, [&](kit::Participant& participant) -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto row, participant.journal().ReadRow(run_id));
      if (row) state = row->state;
      return absl::OkStatus();
    }));
    return state;
  }
  void AwaitState(const std::string& name, const std::string& run_id, kit::TransactionState state) {
    while (StateOf(name, run_id) != state) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  // The paths that the participant holds, by run.
  std::map<std::string, std::vector<std::string>> Kept(const std::string& name) {
    return PartOf(name).domain->domain.Kept();
  }

  // "participant:step", in the order in which undo was begun.
  std::vector<std::string> Undone() {
    absl::MutexLock lock(&mutex_);
    return undone_;
  }

  kit::FakeMachine machine;
  // By participant, for participants that come up from now on.
  std::map<std::string, std::set<std::string>> fail_do, fail_undo;
  std::map<std::string, std::map<std::string, kit::StepClass>> classes;
  std::map<std::string, std::map<std::string, std::string>> writes;

 private:
  // The other participants of the node, without sockets in between.
  class NodeSiblings final : public kit::Siblings {
   public:
    NodeSiblings(FakeNode& node, std::string self) : node_(node), self_(std::move(self)) {}
    absl::StatusOr<kit::SiblingState> Get(const std::string& name, const std::string& run_id) override {
      kit::SiblingState state;
      PHX_RETURN_IF_ERROR(node_.Call(name, [&](kit::Participant& participant) -> absl::Status {
        const auto record = participant.Get(run_id);
        if (record.status().code() == absl::StatusCode::kNotFound) return absl::OkStatus();
        PHX_RETURN_IF_ERROR(record.status());
        state.state = record->row.state;
        state.decided_by = record->row.decided_by;
        for (const auto& step : record->steps) {
          if (!kit::UndoIsThroughWith(kit::OutcomeOf(step).result)) state.applied.insert(step.step.id);
        }
        return absl::OkStatus();
      }));
      return state;
    }
    absl::Status JoinUndo(const std::string& name, const std::string& run_id) override {
      return node_.Call(
          name, [&](kit::Participant& participant) { return participant.JoinUndo(run_id, self_).status(); });
    }
    // Asked by typed changes only, of which there are none here.
    absl::Status MayGo(const std::vector<std::string>&, const std::vector<std::string>&) override {
      return absl::OkStatus();
    }

   private:
    FakeNode& node_;
    const std::string self_;
  };

  struct Part {
    std::unique_ptr<kit::Journal> journal;
    std::unique_ptr<LoggedDomain> domain;
    std::unique_ptr<NodeSiblings> siblings;
    std::unique_ptr<kit::Participant> participant;
  };
  Part& PartOf(const std::string& name) {
    absl::MutexLock lock(&mutex_);
    return *parts_.at(name);
  }

  const std::string directory_;
  const Clock& clock_;
  const std::vector<std::string> names_;
  absl::Mutex mutex_;
  bool up_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::unique_ptr<Part>> parts_;
  std::vector<std::string> undone_ ABSL_GUARDED_BY(mutex_);
};

// Asked around every call, on the calling thread: an error loses the request (`arrived` false) or the answer.
using Wire = std::function<absl::Status(const std::string& node, const std::string& participant,
                                        const std::string& method, bool arrived)>;

class NodeChannels final : public fleet::Channels {
 public:
  NodeChannels(std::map<std::string, std::unique_ptr<FakeNode>>& nodes, Wire& wire)
      : nodes_(nodes), wire_(wire) {}
  absl::StatusOr<std::shared_ptr<client::ParticipantClient>> Get(const run::NodeAddress& node,
                                                                 const std::string& participant) override {
    return std::make_shared<Client>(*this, node.name, participant);
  }

 private:
  class Client final : public client::ParticipantClient {
   public:
    Client(NodeChannels& channels, std::string node, std::string name)
        : channels_(channels), node_(std::move(node)), name_(std::move(name)) {}

    absl::Status Describe(const kit::pb::DescribeRequest&, kit::pb::DescribeResponse&, Limit) override {
      return Unimplemented("no run describes");
    }
    absl::Status Plan(const kit::pb::PlanRequest& request, kit::pb::PlanResponse& response, Limit) override {
      return Send("Plan", [&](kit::Participant& participant) -> absl::Status {
        PHX_ASSIGN_OR_RETURN(const auto answer, participant.MakePlan(kit::FromProto(request)));
        kit::ToProto(answer, response);
        return absl::OkStatus();
      });
    }
    absl::Status Prepare(const kit::pb::PrepareRequest& request, kit::pb::PrepareResponse&, Limit) override {
      return Send("Prepare", [&](kit::Participant& participant) {
        return participant.Prepare(kit::FromProto(request)).status();
      });
    }
    absl::Status Apply(const kit::pb::ApplyRequest& request, kit::pb::ApplyResponse& response,
                       Limit) override {
      return Send("Apply", [&](kit::Participant& participant) -> absl::Status {
        PHX_ASSIGN_OR_RETURN(const auto outcomes,
                             participant.Apply(kit::FromProto(request.context()),
                                               {request.step_ids().begin(), request.step_ids().end()}));
        for (const auto& outcome : outcomes) kit::ToProto(outcome, *response.add_outcomes());
        return absl::OkStatus();
      });
    }
    absl::Status Undo(const kit::pb::UndoRequest& request, kit::pb::UndoResponse& response, Limit) override {
      return Send("Undo", [&](kit::Participant& participant) -> absl::Status {
        PHX_ASSIGN_OR_RETURN(const auto answer,
                             participant.Undo(kit::FromProto(request.context()), {}, request.reason()));
        for (const auto& outcome : answer.outcomes) kit::ToProto(outcome, *response.add_outcomes());
        response.set_undone(answer.undone);
        return absl::OkStatus();
      });
    }
    absl::Status Verify(const kit::pb::VerifyRequest& request, kit::pb::VerifyResponse&, Limit) override {
      return Send("Verify", [&](kit::Participant& participant) {
        return participant.Verify(kit::FromProto(request.context()), {}).status();
      });
    }
    absl::Status AwaitConfirm(const kit::pb::AwaitConfirmRequest& request, kit::pb::AwaitConfirmResponse&,
                              Limit) override {
      return Send("AwaitConfirm", [&](kit::Participant& participant) {
        return participant.AwaitConfirm(kit::FromProto(request.context()),
                                        std::chrono::seconds(request.confirm_within().seconds()));
      });
    }
    absl::Status PrepareCommit(const kit::pb::PrepareCommitRequest& request, kit::pb::PrepareCommitResponse&,
                               Limit) override {
      return Send("PrepareCommit", [&](kit::Participant& participant) {
        return participant.PrepareCommit(kit::FromProto(request.context()));
      });
    }
    absl::Status Commit(const kit::pb::CommitRequest& request, kit::pb::CommitResponse&, Limit) override {
      return Send("Commit", [&](kit::Participant& participant) {
        return participant.Commit(kit::FromProto(request.context()));
      });
    }

   private:
    absl::Status Send(const std::string& method, const std::function<absl::Status(kit::Participant&)>& body) {
      if (channels_.wire_) PHX_RETURN_IF_ERROR(channels_.wire_(node_, name_, method, false));
      PHX_RETURN_IF_ERROR(channels_.nodes_.at(node_)->Call(name_, body));
      return channels_.wire_ ? channels_.wire_(node_, name_, method, true) : absl::OkStatus();
    }
    NodeChannels& channels_;
    const std::string node_, name_;
  };
  std::map<std::string, std::unique_ptr<FakeNode>>& nodes_;
  Wire& wire_;
};

// Two nodes "a" and "b", each with participants "samba" and "zfs".
class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    char name[] = "/tmp/phoenix-engine-XXXXXX";
    directory_ = ::mkdtemp(name);
    store_ = *store::SqliteRunStore::Open(directory_ + "/runs.db", clock_);
    for (const std::string node : {"a", "b"}) {
      nodes_[node] = std::make_unique<FakeNode>(directory_ + "/" + node, clock_,
                                                std::vector<std::string>{"samba", "zfs"});
    }
  }
  ~EngineTest() override {
    engine_.reset();
    nodes_.clear();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // A new life of the orchestrator over the same store.
  void StartEngine(std::chrono::seconds patience = std::chrono::hours(1)) {
    StartEngineOver(*store_, patience);
  }
  void StartEngineOver(store::RunStore& store, std::chrono::seconds patience = std::chrono::hours(1)) {
    engine_.reset();
    engine_ = std::make_unique<RunEngine>(
        store, channels_, planner_, [](const std::string&) { return Secrets(); }, clock_,
        RunEngine::Settings{.patience = patience});
    PHX_ASSERT_OK(engine_->Start());
  }

  std::string CreateRun(run::Request request = {}) { return *TryCreateRun(std::move(request)); }
  absl::StatusOr<std::string> TryCreateRun(run::Request request) {
    for (const auto& [name, node] : nodes_) request.nodes.push_back({name, "unix:/nowhere"});
    if (request.deadline_ns == 0) request.deadline_ns = std::chrono::nanoseconds(kDeadline).count();
    return engine_->CreateRun(request, {});
  }

  // Waits for what another thread brings about. A test that waits in vain fails by its timeout.
  RunView Await(const std::string& run_id, const std::function<bool(const RunView&)>& wanted) {
    while (true) {
      auto view = engine_->GetRun(run_id);
      EXPECT_TRUE(view.ok()) << view.status();
      if (!view.ok() || wanted(*view)) return *std::move(view);
      (void)engine_->AwaitEvents(run_id, view->state.sequence, std::chrono::seconds(1));
    }
  }
  RunView AwaitEnd(const std::string& run_id) {
    return Await(run_id, [](const RunView& view) { return view.state.Ended(); });
  }
  RunView AwaitPhase(const std::string& run_id, run::Phase phase) {
    return Await(run_id, [phase](const RunView& view) { return view.state.phase == phase; });
  }

  std::map<std::string, std::string> FieldsOf(const std::string& node) {
    return nodes_.at(node)->machine.Fields();
  }

  static constexpr std::chrono::minutes kDeadline{30};
  // What every node is to become, by participant: a user, a dataset whose group he is in, a share on it.
  std::map<std::string, std::string> specs_ = {{"samba", "user=1 share=1:dataset"},
                                               {"zfs", "dataset=1:user"}};
  const std::map<std::string, std::string> all_ = {{"dataset", "1"}, {"share", "1"}, {"user", "1"}};
  // Set before the engine starts.
  Wire wire_;

  FakeClock clock_;
  std::string directory_;
  std::unique_ptr<store::SqliteRunStore> store_;
  std::map<std::string, std::unique_ptr<FakeNode>> nodes_;
  NodeChannels channels_{nodes_, wire_};
  FleetPlanner planner_{channels_, [this](const run::Request&, const run::NodeAddress&, const Secrets&) {
                          NodeSpecs specs;
                          for (const auto& [name, spec] : specs_) specs.specs.push_back({name, "fake", spec});
                          return absl::StatusOr<NodeSpecs>(std::move(specs));
                        }};
  std::unique_ptr<RunEngine> engine_;
};

}  // namespace phoenix::engine

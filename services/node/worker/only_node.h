// A domain that is nothing but what it needs of the node, for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/status/status_macros.h"
#include "services/kit/participant/domain.h"
#include "services/node/worker/node_steps.h"

namespace phoenix::node {

// The smallest domain: nothing of its own, only what it needs of the node.
class OnlyNode final : public kit::Domain {
 public:
  OnlyNode(NodeHost& host, NodeWants wants) : steps_(host), wants_(std::move(wants)) {}

  kit::DomainDescription Describe() override { return {"only-node", {}, {}}; }
  absl::StatusOr<std::vector<kit::ObservedField>> Observe(const std::vector<std::string>&) override {
    return std::vector<kit::ObservedField>();
  }
  absl::StatusOr<kit::Plan> MakePlan(const kit::PlanInput& input) override {
    PHX_ASSIGN_OR_RETURN(NodePlan node, steps_.MakePlan(wants_, input.ledger));
    kit::Plan plan;
    plan.steps = std::move(node.steps);
    plan.notes = std::move(node.notes);
    plan.provided_now = std::move(node.provided_now);
    plan.base_fingerprint = std::move(node.fingerprint_text);
    return plan;
  }
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id) override {
    EXPECT_TRUE(NodeSteps::Owns(step));
    return steps_.Capture(step, run_id);
  }
  absl::Status Do(const kit::Step& step, const kit::StepContext& context) override {
    return steps_.Do(step, context);
  }
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step,
                                             const kit::StepContext& context) override {
    return steps_.ProbeStep(step, context);
  }
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context) override {
    return steps_.Undo(step, context);
  }
  std::vector<std::string> RemainingCommands(const kit::Step& step,
                                             const kit::StepContext& context) override {
    return steps_.RemainingCommands(step, context);
  }
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step,
                                             const kit::StepContext& context) override {
    return steps_.LedgerOf(step, context);
  }
  absl::StatusOr<kit::VerifyReport> Verify(const kit::VerifyInput&) override { return kit::VerifyReport(); }
  absl::Status Close(const std::string&, bool) override { return absl::OkStatus(); }

  NodeWants& wants() { return wants_; }

 private:
  NodeSteps steps_;
  NodeWants wants_;
};

}  // namespace phoenix::node

// kit values <-> phoenix.participant.v1.
#pragma once

#include "phoenix/participant/v1/participant.pb.h"
#include "services/kit/participant/participant.h"
#include "services/kit/plan/step.h"

namespace phoenix::kit {

namespace pb = ::phoenix::participant::v1;

void ToProto(const Step& step, pb::Step& out);
// Everything but payload and secret names, which never leave the node.
Step FromProto(const pb::Step& step);
void ToProto(const Note& note, pb::Note& out);
Note FromProto(const pb::Note& note);
void ToProto(const PlanAnswer& answer, pb::PlanResponse& out);
void ToProto(const Outcome& outcome, pb::StepOutcome& out);
Outcome FromProto(const pb::StepOutcome& outcome);
void ToProto(const TransactionRecord& record, std::optional<Duration> remaining, pb::Transaction& out);
void ToProto(const Journal::Adoption& adoption, pb::Adoption& out);
// What cannot be read is a condition of the participant itself: who it is can be told all the same.
void AddConditions(const absl::StatusOr<std::vector<Condition>>& conditions, pb::DescribeResponse& out);
RunContext FromProto(const pb::RunContext& context);
PlanInput FromProto(const pb::PlanRequest& request);
PrepareInput FromProto(const pb::PrepareRequest& request);

template <class Map>
Secrets SecretsFrom(const Map& map) {
  Secrets secrets;
  for (const auto& [name, value] : map) secrets.emplace(name, Secret(value));
  return secrets;
}

}  // namespace phoenix::kit

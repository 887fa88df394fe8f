#include "orchestrator/api/run_convert.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/status/errors.h"
#include "services/kit/rpc/participant_convert.h"

namespace phoenix::api {

using google::protobuf::util::TimeUtil;

constexpr char kRuns[] = "runs/";
constexpr std::array<std::pair<pb::Orphans, const char*>, 4> kOrphans = {
    {{pb::ORPHANS_EXPORTS, "exports"},
     {pb::ORPHANS_SHARES, "shares"},
     {pb::ORPHANS_RULES, "rules"},
     {pb::ORPHANS_STORAGES, "storages"}}};

std::string RunName(const std::string& run_id) { return kRuns + run_id; }

absl::StatusOr<std::string> ParseRunName(const std::string& name) {
  std::string run_id = name.rfind(kRuns, 0) == 0 ? name.substr(sizeof kRuns - 1) : "";
  if (run_id.empty() || run_id.find_first_not_of("0123456789abcdef-") != std::string::npos) {
    return WithViolations(InvalidArgument("'{}' is not the name of a run; it has the form runs/UUID", name),
                          {{"name", "must be runs/UUID"}});
  }
  return run_id;
}

void ToProto(const std::string& run_id, const run::RunState& state, pb::Run& out) {
  out.set_name(RunName(run_id));
  out.set_state(static_cast<pb::Run::State>(state.phase));
  *out.mutable_create_time() = TimeUtil::SecondsToTimestamp(state.created_seconds);
  if (state.ended_seconds != 0) *out.mutable_end_time() = TimeUtil::SecondsToTimestamp(state.ended_seconds);
  if (state.plan) out.set_plan_digest(state.plan->digest);
  out.set_step_count(static_cast<int>(state.steps.size()));
  out.set_done_count(state.CountDone());
  out.set_error(state.error);
  out.set_title(state.request->title);
  for (const auto& node : state.request->nodes) out.add_nodes(node.name);
  for (const auto& text : state.unresolved) out.add_unresolved(text);
  if (!state.request->rollback_of.empty()) out.set_rollback_of(RunName(state.request->rollback_of));
  for (const auto& key : state.request->allow) out.add_allow(key);
  out.set_no_install(state.request->no_install);
  for (const auto& disk : state.request->wipe) out.add_wipe(disk);
  for (const auto& name : state.request->allow_unhealthy) out.add_allow_unhealthy(name);
  for (const auto& [kind, word] : kOrphans) {
    const auto& prune = state.request->prune;
    if (std::find(prune.begin(), prune.end(), word) != prune.end()) out.add_prune(kind);
  }
}

void ToProto(const run::FleetPlan& plan, size_t position, const run::StepStanding& standing, bool with_plan,
             pb::RunStep& out) {
  const run::ParticipantId& owner = plan.OwnerOf(position);
  const kit::Step& step = plan.StepAt(position);
  out.set_node(owner.node);
  out.set_participant(owner.participant);
  if (with_plan) {
    kit::ToProto(step, *out.mutable_step());
  } else {
    out.mutable_step()->set_id(step.id);
    out.mutable_step()->set_resource(step.resource);
    out.mutable_step()->set_action(step.action);
  }
  out.set_state(static_cast<pb::RunStep::State>(standing.state));
  out.set_error(standing.error);
  for (const auto& command : standing.remaining_commands) out.add_remaining_commands(command);
  out.set_ordinal(static_cast<int>(position) + 1);
}

void MarkMissing(const std::vector<run::MissingConsent>& missing, pb::PlanRunResponse& plan) {
  std::set<std::string> named;
  for (const run::MissingConsent& one : missing) {
    if (named.insert(one.key).second) plan.add_needs_allow(one.key);
    const auto position = static_cast<int>(one.position);
    if (position < plan.steps_size()) plan.mutable_steps(position)->set_needs_allow(one.key);
  }
}

void ToProto(const run::Wait& wait, pb::RunWait& out) {
  out.set_node(wait.who.node);
  out.set_participant(wait.who.participant);
  out.set_call(wait.call);
  *out.mutable_since_time() = TimeUtil::SecondsToTimestamp(wait.since_seconds);
  out.set_problem(wait.problem);
}

std::vector<pb::NodeNote> NotesOf(const run::FleetPlan& plan) {
  std::vector<pb::NodeNote> notes;
  for (const auto& note : plan.notes) kit::ToProto(note, *notes.emplace_back().mutable_note());
  for (const auto& participant : plan.participants) {
    for (const auto& note : participant.notes) {
      auto& out = notes.emplace_back();
      out.set_node(participant.id.node);
      out.set_participant(participant.id.participant);
      kit::ToProto(note, *out.mutable_note());
    }
  }
  return notes;
}

void AddCheckpoints(const run::FleetPlan& plan, pb::PlanRunResponse& out) {
  for (const auto& participant : plan.participants) {
    for (const std::string& name : participant.checkpoints) {
      auto* checkpoint = out.add_checkpoints();
      checkpoint->set_node(participant.id.node);
      checkpoint->set_participant(participant.id.participant);
      checkpoint->set_name(name);
    }
  }
}

absl::StatusOr<std::vector<std::string>> PruneFrom(const std::vector<int>& kinds) {
  std::vector<std::string> words;
  for (const int kind : kinds) {
    const auto* const known =
        std::find_if(kOrphans.begin(), kOrphans.end(), [&](const auto& one) { return one.first == kind; });
    if (known == kOrphans.end()) {
      return InvalidArgument(
          "prune: {} is none of exports, shares, rules and storages; nothing else is pruned", kind);
    }
    words.emplace_back(known->second);
  }
  return words;
}

}  // namespace phoenix::api

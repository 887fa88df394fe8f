#include "orchestrator/engine/fleet_planner.h"

#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/run/fleet_plan.h"
#include "services/kit/rpc/conventions.h"
#include "services/kit/rpc/participant_convert.h"

namespace phoenix::engine {
namespace {

constexpr std::chrono::minutes kPlanLimit{3};
// A service that is being restarted is there again within this time; the channel's own pauses are part of it.
constexpr std::chrono::seconds kRestart{3};
constexpr std::chrono::milliseconds kPause{200};

// One participant being planned.
struct Planning {
  run::NodeAddress node;
  Spec spec;
  run::PlannedParticipant planned;
  std::vector<std::string> provided_now;
  std::string authority;  // that the participant obeys
  absl::Status status;
};

// Asks again for a while where nobody answers: a plan changes nothing.
absl::Status AskForPlan(client::ParticipantClient& client, const kit::pb::PlanRequest& request,
                        kit::pb::PlanResponse& response) {
  const auto until = std::chrono::steady_clock::now() + kRestart;
  while (true) {
    absl::Status status = client.Plan(request, response, kPlanLimit);
    const auto reason = ReasonOf(status);
    const bool nobody =
        status.code() == absl::StatusCode::kUnavailable && reason && reason->reason == "UNREACHABLE";
    if (!nobody || std::chrono::steady_clock::now() + kPause > until) return status;
    std::this_thread::sleep_for(kPause);
    response.Clear();
  }
}

absl::Status PlanOne(fleet::Channels& channels, const Secrets& secrets, Planning& planning) {
  PHX_ASSIGN_OR_RETURN(const auto client, channels.Get(planning.node, planning.spec.participant));
  kit::pb::PlanRequest request;
  request.mutable_spec()->set_type(planning.spec.type);
  request.mutable_spec()->set_content(planning.spec.content);
  for (const auto& [name, secret] : secrets) (*request.mutable_secrets())[name] = secret.Reveal();
  for (const auto& key : planning.planned.disturbed_keys) request.add_disturbed_keys(key);
  for (const auto& key : planning.planned.removed_keys) request.add_removed_keys(key);
  kit::pb::PlanResponse response;
  PHX_RETURN_IF_ERROR(AskForPlan(*client, request, response));
  run::PlannedParticipant& planned = planning.planned;
  planned.id = {planning.node.name, planning.spec.participant};
  planned.journal_id = response.journal_id();
  planned.spec_type = planning.spec.type;
  planned.spec = planning.spec.content;
  planned.plan_digest = response.plan_digest();
  planned.steps.clear();
  planned.notes.clear();
  planned.checkpoints.assign(response.checkpoints().begin(), response.checkpoints().end());
  for (const auto& step : response.steps()) planned.steps.push_back(kit::FromProto(step));
  for (const auto& note : response.notes()) planned.notes.push_back(kit::FromProto(note));
  planning.authority = response.authority();
  planning.provided_now.assign(response.provided_now().begin(), response.provided_now().end());
  return absl::OkStatus();
}

void PlanAll(fleet::Channels& channels, const Secrets& secrets, const std::vector<Planning*>& plannings) {
  std::vector<std::thread> threads;
  for (Planning* planning : plannings) {
    threads.emplace_back(
        [&channels, &secrets, planning] { planning->status = PlanOne(channels, secrets, *planning); });
  }
  for (auto& thread : threads) thread.join();
}

// Prepare would be refused there, after everybody else was asked: said once for a node, with the way out.
absl::Status CheckAuthorities(const std::vector<Planning>& plannings, const std::string& authority) {
  std::map<std::pair<std::string, std::string>, std::string> services;  // by node and authority
  for (const Planning& planning : plannings) {
    if (planning.authority.empty() || planning.authority == authority) continue;
    std::string& names = services[{planning.node.name, planning.authority}];
    names += (names.empty() ? "" : ", ") + planning.spec.participant;
  }
  std::string text;
  std::vector<FieldViolation> violations;
  for (const auto& [where, names] : services) {
    const auto& [node, other] = where;
    const std::string line = fmt::format(
        "node {} ({}) obeys authority {}, which is not this orchestrator's ({}); where that one is gone for "
        "good, "
        "`phoenix node adopt {}` makes the node obey this one",
        node, names, other, authority, node);
    text += (text.empty() ? "" : "\n") + line;
    violations.push_back({"nodes/" + node, line});
  }
  if (violations.empty()) return absl::OkStatus();
  return WithViolations(
      WithReason(FailedPrecondition("{}", text),
                 {"OTHER_AUTHORITY", {{"node", services.begin()->first.first}, {"authority", authority}}}),
      violations);
}

// Every problem of every node at once; the code is that of the first.
absl::Status Combine(const std::vector<Planning>& plannings) {
  std::string text;
  std::vector<FieldViolation> violations;
  absl::Status first;
  for (const Planning& planning : plannings) {
    if (planning.status.ok()) continue;
    if (first.ok()) first = planning.status;
    const std::string who = planning.node.name + "/" + planning.spec.participant;
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", who, Message(planning.status));
    for (const auto& violation : ViolationsOf(planning.status)) {
      violations.push_back({violation.field, fmt::format("{}: {}", who, violation.description)});
    }
  }
  if (first.ok()) return first;
  absl::Status combined(first.code(), text);
  if (const auto reason = ReasonOf(first)) combined = WithReason(combined, *reason);
  return violations.empty() ? combined : WithViolations(combined, violations);
}

// The configuration's errors for every node, each line and each violation once.
absl::Status Once(const std::vector<absl::Status>& errors) {
  if (errors.empty()) return absl::OkStatus();
  std::vector<std::string> lines;
  std::vector<FieldViolation> violations;
  std::set<std::pair<std::string, std::string>> known;
  for (const absl::Status& error : errors) {
    for (const absl::string_view line : absl::StrSplit(Message(error), '\n')) {
      if (known.emplace("", line).second) lines.emplace_back(line);
    }
    for (auto& violation : ViolationsOf(error)) {
      if (known.emplace(violation.field, violation.description).second)
        violations.push_back(std::move(violation));
    }
  }
  absl::Status once(errors.front().code(), absl::StrJoin(lines, "\n"));
  if (const auto reason = ReasonOf(errors.front())) once = WithReason(once, *reason);
  return violations.empty() ? once : WithViolations(once, violations);
}

// "HOST", "HOST:PORT" and "[IPv6]:PORT" without the port.
std::string HostOf(const std::string& address) {
  if (address.starts_with('[')) return address.substr(1, address.find(']') - 1);
  const size_t colon = address.find(':');
  return address.find(':', colon + 1) == std::string::npos ? address.substr(0, colon) : address;
}

// What every node says that lacks a thing is said once, and not at all where another one has it.
void DropNeedlessNotes(std::vector<Planning>& plannings) {
  std::set<std::string> provided, said;
  for (const Planning& planning : plannings)
    provided.insert(planning.provided_now.begin(), planning.provided_now.end());
  for (Planning& planning : plannings) {
    std::erase_if(planning.planned.notes, [&](const kit::Note& note) {
      return note.unless_provided && (provided.contains(note.resource) || !said.insert(note.resource).second);
    });
  }
}

// The second round: what others disturb or remove. True when anything is to be planned again.
std::vector<Planning*> SpreadKeys(std::vector<Planning>& plannings) {
  std::vector<Planning*> again;
  for (Planning& planning : plannings) {
    std::set<std::string> disturbed, removed;
    for (const Planning& other : plannings) {
      if (other.node.name != planning.node.name || &other == &planning) continue;
      for (const auto& step : other.planned.steps) {
        disturbed.insert(step.disturbs.begin(), step.disturbs.end());
        removed.insert(step.removes.begin(), step.removes.end());
      }
    }
    if (disturbed.empty() && removed.empty()) continue;
    planning.planned.disturbed_keys.assign(disturbed.begin(), disturbed.end());
    planning.planned.removed_keys.assign(removed.begin(), removed.end());
    again.push_back(&planning);
  }
  return again;
}

absl::Status HasTwoOwners(const FieldViolation& own, const std::string& first, const std::string& second) {
  const std::string text = fmt::format("nodes {} and {} say the same: {}", first, second, own.description);
  return WithViolations(WithReason(InvalidArgument("{}: {}", own.field, text), {"CONFIG_INVALID", {}}),
                        {{own.field, text}});
}

}  // namespace

absl::StatusOr<run::FleetPlan> FleetPlanner::MakePlan(const run::Request& request, const Secrets& secrets,
                                                      const std::string& authority) {
  std::vector<Planning> plannings;
  std::vector<kit::Note> notes;
  std::vector<absl::Status> wrong;
  std::map<std::string, std::string> owners;
  kit::Hosts hosts;
  for (const run::NodeAddress& node : request.nodes) {
    hosts.emplace(node.name, node.name);
    if (!node.address.starts_with("unix:")) hosts.emplace(HostOf(node.address), node.name);
    if (!request.rollback_of.empty()) {
      for (const run::ParticipantId& id : request.rollback_participants) {
        if (id.node != node.name) continue;
        plannings.push_back({node, {id.participant, kit::kReversalType, request.rollback_of}, {}, {}, {}});
      }
      continue;
    }
    absl::StatusOr<NodeSpecs> specs = make_specs_(request, node, secrets);
    if (!specs.ok()) {
      wrong.push_back(specs.status());
      continue;
    }
    // What is the same for every node is said once.
    for (kit::Note& note : specs->notes) {
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
    }
    for (const std::string& address : specs->addresses) hosts.emplace(address, node.name);
    for (const FieldViolation& own : specs->own) {
      const auto [other, first] = owners.emplace(own.description, node.name);
      if (!first) wrong.push_back(HasTwoOwners(own, other->second, node.name));
    }
    for (Spec& spec : specs->specs) plannings.push_back({node, std::move(spec), {}, {}, {}});
  }
  PHX_RETURN_IF_ERROR(Once(wrong));
  std::vector<Planning*> all;
  for (Planning& planning : plannings) all.push_back(&planning);
  PlanAll(channels_, secrets, all);
  PHX_RETURN_IF_ERROR(Combine(plannings));
  PHX_RETURN_IF_ERROR(CheckAuthorities(plannings, authority));
  if (const auto again = SpreadKeys(plannings); !again.empty()) {
    PlanAll(channels_, secrets, again);
    PHX_RETURN_IF_ERROR(Combine(plannings));
  }
  DropNeedlessNotes(plannings);
  std::vector<run::PlannedParticipant> participants;
  std::vector<std::pair<std::string, std::string>> provided_now;
  for (Planning& planning : plannings) {
    for (const auto& key : planning.provided_now) provided_now.emplace_back(planning.node.name, key);
    participants.push_back(std::move(planning.planned));
  }
  PHX_ASSIGN_OR_RETURN(run::FleetPlan plan, run::MakeFleetPlan(std::move(participants), provided_now, hosts));
  plan.notes = std::move(notes);
  return plan;
}

}  // namespace phoenix::engine

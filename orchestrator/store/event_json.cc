#include "orchestrator/store/event_json.h"

#include <nlohmann/json.hpp>

#include "base/digest/digest.h"
#include "base/status/errors.h"

namespace phoenix::store {
namespace {

using nlohmann::json;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

json IdJson(const run::ParticipantId& id) { return {id.node, id.participant}; }
run::ParticipantId IdFrom(const json& j) { return {j.at(0), j.at(1)}; }

json NotesJson(const std::vector<kit::Note>& notes) {
  json list = json::array();
  for (const auto& note : notes) list.push_back({note.warning, note.resource, note.text});
  return list;
}

std::vector<kit::Note> NotesFrom(const json& list) {
  std::vector<kit::Note> notes;
  for (const auto& note : list) notes.push_back({note.at(0), note.at(1), note.at(2)});
  return notes;
}

// As the orchestrator knows a step: payload and names of secrets never leave the node.
json StepJson(const kit::Step& step) {
  json diffs = json::array(), needs = json::array();
  for (const auto& diff : step.diffs) diffs.push_back({diff.field, diff.before, diff.after});
  for (const auto& need : step.requires_keys) needs.push_back({need.key, need.satisfied_now});
  return {{"id", step.id},
          {"resource", step.resource},
          {"action", step.action},
          {"diffs", std::move(diffs)},
          {"class", static_cast<int>(step.step_class)},
          {"undo", step.undo},
          {"remainder", step.remainder},
          {"commands", step.commands},
          {"scope", step.scope},
          {"requires", std::move(needs)},
          {"provides", step.provides},
          {"removes", step.removes},
          {"disturbs", step.disturbs}};
}

kit::Step StepFrom(const json& j) {
  kit::Step step;
  step.id = j.at("id");
  step.resource = j.at("resource");
  step.action = j.at("action");
  for (const auto& diff : j.at("diffs")) step.diffs.push_back({diff.at(0), diff.at(1), diff.at(2)});
  step.step_class = static_cast<kit::StepClass>(j.at("class").get<int>());
  step.undo = j.at("undo");
  step.remainder = j.at("remainder");
  j.at("commands").get_to(step.commands);
  step.scope = j.at("scope");
  for (const auto& need : j.at("requires")) step.requires_keys.push_back({need.at(0), need.at(1)});
  j.at("provides").get_to(step.provides);
  j.at("removes").get_to(step.removes);
  j.at("disturbs").get_to(step.disturbs);
  return step;
}

json RequestJson(const run::Request& request) {
  json nodes = json::array(), rollback_participants = json::array();
  for (const auto& id : request.rollback_participants) rollback_participants.push_back(IdJson(id));
  for (const auto& node : request.nodes) nodes.push_back({node.name, node.address, node.overrides});
  json scripts = json::object();
  // Whatever the files hold: JSON takes text only.
  for (const auto& [name, content] : request.feature_scripts) scripts[name] = ToHex(content);
  return {{"title", request.title},
          {"config", request.config},
          {"vms", ToHex(request.vms)},
          {"feature_scripts", scripts},
          {"lxc", request.lxc},
          {"nodes", nodes},
          {"expected_plan_digest", request.expected_plan_digest},
          {"request_id", request.request_id},
          {"secrets_file", request.secrets_file},
          {"inline_secrets", request.inline_secrets},
          {"deadline_ns", request.deadline_ns},
          {"confirm_within_ns", request.confirm_within_ns},
          {"await_approval", request.await_approval},
          {"rollback_of", request.rollback_of},
          {"rollback_participants", rollback_participants},
          {"allow", request.allow},
          {"no_install", request.no_install},
          {"prune", request.prune},
          {"wipe", request.wipe},
          {"allow_unhealthy", request.allow_unhealthy}};
}

run::Request RequestFrom(const json& j) {
  run::Request request;
  request.title = j.at("title");
  request.config = j.at("config");
  for (const auto& node : j.at("nodes")) {
    // Logs of older versions know no overrides.
    request.nodes.push_back({node.at(0), node.at(1), node.size() > 2 ? node.at(2) : ""});
  }
  request.expected_plan_digest = j.at("expected_plan_digest");
  request.request_id = j.at("request_id");
  request.secrets_file = j.at("secrets_file");
  request.inline_secrets = j.at("inline_secrets");
  request.deadline_ns = j.at("deadline_ns");
  request.confirm_within_ns = j.at("confirm_within_ns");
  request.await_approval = j.at("await_approval");
  // Logs of older versions know no rollback.
  request.rollback_of = j.value("rollback_of", "");
  for (const auto& id : j.value("rollback_participants", json::array()))
    request.rollback_participants.push_back(IdFrom(id));
  // Not in logs that older versions wrote.
  request.allow = j.value("allow", std::vector<std::string>());
  request.no_install = j.value("no_install", false);
  request.lxc = j.value("lxc", "");
  request.prune = j.value("prune", std::vector<std::string>());
  request.vms = FromHex(j.value("vms", ""));
  const json scripts = j.value("feature_scripts", json::object());
  for (const auto& [name, content] : scripts.items()) request.feature_scripts[name] = FromHex(content);
  request.wipe = j.value("wipe", std::vector<std::string>());
  request.allow_unhealthy = j.value("allow_unhealthy", std::vector<std::string>());
  return request;
}

json PlanJson(const run::FleetPlan& plan) {
  json participants = json::array(), sequence = json::array();
  for (const auto& participant : plan.participants) {
    json steps = json::array();
    for (const auto& step : participant.steps) steps.push_back(StepJson(step));
    participants.push_back({{"id", IdJson(participant.id)},
                            {"journal_id", participant.journal_id},
                            {"spec_type", participant.spec_type},
                            {"spec", ToHex(participant.spec)},
                            {"disturbed", participant.disturbed_keys},
                            {"removed", participant.removed_keys},
                            {"plan_digest", participant.plan_digest},
                            {"steps", steps},
                            {"notes", NotesJson(participant.notes)},
                            {"checkpoints", participant.checkpoints}});
  }
  for (const auto& step : plan.sequence) sequence.push_back({step.participant, step.step, step.before});
  return {{"participants", participants},
          {"sequence", sequence},
          {"barrier", plan.barrier},
          {"digest", plan.digest},
          {"notes", NotesJson(plan.notes)}};
}

run::FleetPlan PlanFrom(const json& j) {
  run::FleetPlan plan;
  for (const auto& p : j.at("participants")) {
    run::PlannedParticipant participant;
    participant.id = IdFrom(p.at("id"));
    participant.journal_id = p.at("journal_id");
    participant.spec_type = p.at("spec_type");
    participant.spec = FromHex(p.at("spec"));
    participant.disturbed_keys = p.at("disturbed").get<std::vector<std::string>>();
    participant.removed_keys = p.at("removed").get<std::vector<std::string>>();
    participant.plan_digest = p.at("plan_digest");
    for (const auto& step : p.at("steps")) participant.steps.push_back(StepFrom(step));
    participant.notes = NotesFrom(p.at("notes"));
    // Not in logs that older versions wrote: there only who has steps takes part.
    participant.checkpoints = p.value("checkpoints", std::vector<std::string>());
    plan.participants.push_back(std::move(participant));
  }
  for (const auto& s : j.at("sequence")) {
    plan.sequence.push_back({s.at(0), s.at(1), s.at(2).get<std::vector<size_t>>()});
  }
  plan.barrier = j.at("barrier");
  plan.digest = j.at("digest");
  plan.notes = NotesFrom(j.at("notes"));
  return plan;
}

}  // namespace

std::string ToJson(const run::Event& event) {
  json j = {{"kind", static_cast<int>(event.kind)}, {"ok", event.ok}};
  if (!event.who.node.empty()) j["who"] = IdJson(event.who);
  if (event.kind == run::Event::Kind::kPhaseBegan || event.kind == run::Event::Kind::kEnded) {
    j["phase"] = static_cast<int>(event.phase);
  }
  if (!event.error.empty()) j["error"] = event.error;
  if (!event.step_ids.empty()) j["step_ids"] = event.step_ids;
  if (!event.texts.empty()) j["texts"] = event.texts;
  for (const auto& result : event.results) {
    j["results"].push_back(
        {result.step_id, static_cast<int>(result.result), result.error, result.remaining_commands});
  }
  if (event.request) j["request"] = RequestJson(*event.request);
  if (event.plan) j["plan"] = PlanJson(*event.plan);
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<run::Event> EventFromJson(const std::string& text) {
  try {
    const json j = json::parse(text);
    run::Event event;
    event.kind = static_cast<run::Event::Kind>(j.at("kind").get<int>());
    event.ok = j.at("ok");
    if (j.contains("who")) event.who = IdFrom(j["who"]);
    if (j.contains("phase")) event.phase = static_cast<run::Phase>(j["phase"].get<int>());
    event.error = j.value("error", "");
    if (j.contains("step_ids")) event.step_ids = j["step_ids"].get<std::vector<std::string>>();
    if (j.contains("texts")) event.texts = j["texts"].get<std::vector<std::string>>();
    if (j.contains("results")) {
      for (const auto& r : j["results"]) {
        event.results.push_back({r.at(0), static_cast<run::StepResult::Result>(r.at(1).get<int>()), r.at(2),
                                 r.at(3).get<std::vector<std::string>>()});
      }
    }
    if (j.contains("request")) event.request = std::make_shared<run::Request>(RequestFrom(j["request"]));
    if (j.contains("plan")) event.plan = std::make_shared<run::FleetPlan>(PlanFrom(j["plan"]));
    return event;
  } catch (const json::exception& error) {
    return DataLoss("a stored event cannot be read: {}", error.what());
  }
}

}  // namespace phoenix::store

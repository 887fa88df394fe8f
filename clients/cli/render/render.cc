#include "clients/cli/render/render.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "base/host/command.h"

namespace phoenix::cli {
namespace {

using ::phoenix::participant::v1::Condition;
using ::phoenix::participant::v1::Note;
using ::phoenix::participant::v1::Step;
using ::phoenix::participant::v1::StepClass_Name;

std::string Strip(const std::string& name, const std::string& prefix) {
  return name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name;
}

std::string Paint(const std::string& text, const char* code, bool color) {
  return color ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
}

std::string Sign(const Step& step) {
  if (step.action().rfind("create", 0) == 0 || step.action().rfind("add", 0) == 0 ||
      step.action().rfind("install", 0) == 0) {
    return "+";
  }
  if (!step.removes().empty()) return "-";
  return "~";
}

// Where a note belongs, before its text; a resource that the text names itself is not named twice.
std::string PlaceOf(const pb::NodeNote& note) {
  std::string place = note.node().empty() ? "" : fmt::format("{} / {}: ", note.node(), note.participant());
  const std::string& resource = note.note().resource();
  const auto kind_end = note.node().empty() ? std::string::npos : resource.find(':');
  const std::string name = kind_end == std::string::npos ? resource : resource.substr(kind_end + 1);
  if (!name.empty() && note.note().text().find(name) == std::string::npos) place += resource + ": ";
  return place;
}

// The width of UTF-8 text in characters.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Before its text.
std::string UrgencyOf(const Condition& condition) {
  switch (condition.severity()) {
    case Condition::SEVERITY_WARNING:
      return "warning: ";
    case Condition::SEVERITY_CRITICAL:
      return "CRITICAL: ";
    default:
      return "";
  }
}

// A line for a node with services that obey another orchestrator; empty for any other.
std::string ForeignServices(const pb::Node& node) {
  std::string services;
  for (const auto& participant : node.participants()) {
    const std::string& authority = participant.description().authority();
    if (authority.empty() || authority == node.orchestrator_authority()) continue;
    services += fmt::format("{}{} ({})", services.empty() ? "" : ", ", participant.name(), authority);
  }
  if (services.empty()) return "";
  const std::string name = Strip(node.name(), "nodes/");
  return fmt::format("{} obeys another orchestrator: {}; `phoenix node adopt {}` makes it obey this one\n",
                     name, services, name);
}

std::string LocalTime(const google::protobuf::Timestamp& time) {
  return google::protobuf::util::TimeUtil::ToString(time);
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  // Only messages with unpackable Any fields could fail; ours have none.
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

std::string StateText(pb::Run::State state) { return Strip(pb::Run::State_Name(state), "STATE_"); }
std::string StateText(pb::RunStep::State state) { return Strip(pb::RunStep::State_Name(state), "STATE_"); }

std::string RenderPlan(const std::vector<pb::RunStep>& steps, const std::vector<pb::NodeNote>& notes,
                       int barrier_ordinal, bool color) {
  std::string text;
  std::string heading;
  for (const auto& run_step : steps) {
    const Step& step = run_step.step();
    if (run_step.ordinal() == barrier_ordinal) {
      text +=
          Paint("==== POINT OF NO RETURN: what follows cannot be taken back exactly ====\n", "31;1", color);
      heading.clear();
    }
    const std::string place = fmt::format("{} / {}", run_step.node(), run_step.participant());
    if (place != heading) text += fmt::format("{}\n", Paint(place, "1", color));
    heading = place;
    text += fmt::format("  {:>3} {} {} {}  [{}]\n", run_step.ordinal(), Sign(step), step.action(),
                        Paint(step.resource(), "36", color),
                        Strip(StepClass_Name(step.step_class()), "STEP_CLASS_"));
    size_t field_width = 0;
    for (const auto& diff : step.diffs()) field_width = std::max(field_width, Width(diff.field()));
    for (const auto& diff : step.diffs()) {
      const std::string pad(field_width - Width(diff.field()), ' ');
      text += diff.before().empty()
                  ? fmt::format("        {}{}  {}\n", diff.field(), pad, diff.after())
                  : fmt::format("        {}{}  {} -> {}\n", diff.field(), pad, diff.before(), diff.after());
    }
    if (!step.undo().empty()) text += fmt::format("        undo: {}\n", step.undo());
    if (!step.remainder().empty()) text += fmt::format("        remains after undo: {}\n", step.remainder());
    if (!run_step.needs_allow().empty()) {
      text += fmt::format("        {}\n", Paint("needs " + AllowWord(run_step.needs_allow()), "33", color));
    }
  }
  for (const auto& note : notes) {
    const bool warning = note.note().severity() == Note::SEVERITY_WARNING;
    text += fmt::format("{}: {}{}\n", Paint(warning ? "warning" : "note", warning ? "33" : "2", color),
                        PlaceOf(note), note.note().text());
  }
  return text;
}

std::string RenderCheckpoints(const std::vector<pb::NodeCheckpoint>& checkpoints) {
  std::string text, heading;
  for (const auto& checkpoint : checkpoints) {
    const std::string place = fmt::format("{} / {}", checkpoint.node(), checkpoint.participant());
    if (place == heading) {
      text += ", " + checkpoint.name();
      continue;
    }
    text += fmt::format("{}{}: snapshot before the first step: {}", heading.empty() ? "" : "\n", place,
                        checkpoint.name());
    heading = place;
  }
  return text.empty() ? text : text + "\n";
}

std::string AllowWord(const std::string& key) { return "--allow " + ShellWord(key); }

std::string PruneWord(pb::Orphans kind) {
  std::string word = pb::Orphans_Name(kind).substr(std::string_view("ORPHANS_").size());
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  return word;
}

std::string Cut(const std::string& text, size_t width) {
  std::string line = text;
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (Width(line) <= width) return line;
  size_t bytes = 0;
  for (size_t shown = 0; bytes < line.size(); ++bytes) {
    const bool starts_character = (line[bytes] & 0xC0) != 0x80;
    if (starts_character && ++shown >= width) break;
  }
  return line.substr(0, bytes) + "…";
}

std::string RenderTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - Width(row[i]) + 2, ' ');
    }
    text += line + "\n";
  }
  return text;
}

std::string RenderRuns(const std::vector<pb::Run>& runs) {
  std::vector<std::vector<std::string>> rows = {
      {"RUN", "STATE", "STEPS", "NODES", "CREATED", "CONFIGURATION"}};
  for (const auto& run : runs) {
    std::string nodes;
    for (const auto& node : run.nodes()) nodes += (nodes.empty() ? "" : ",") + node;
    rows.push_back({Strip(run.name(), "runs/"), StateText(run.state()),
                    fmt::format("{}/{}", run.done_count(), run.step_count()), nodes,
                    LocalTime(run.create_time()), run.title()});
  }
  return RenderTable(rows);
}

std::string RenderNodes(const std::vector<pb::Node>& nodes, bool verbose) {
  std::vector<std::vector<std::string>> rows = {{"NODE", "SERVICE", "STATUS", "BUILD", "TOOLS", "OPEN RUN"}};
  std::vector<std::vector<std::string>> conditions = {{"NODE", "OBJECT", "CONDITION"}};
  std::string silent, foreign;
  for (const auto& node : nodes) {
    for (const auto& participant : node.participants()) {
      for (const auto& condition : participant.description().conditions()) {
        if (!verbose && condition.severity() == Condition::SEVERITY_OK) continue;
        conditions.push_back(
            {Strip(node.name(), "nodes/"), condition.object(), UrgencyOf(condition) + condition.text()});
      }
      std::string tools;
      for (const auto& [tool, version] : participant.description().tool_versions()) {
        tools += fmt::format("{}{} {}", tools.empty() ? "" : ", ", tool, version);
      }
      rows.push_back(
          {Strip(node.name(), "nodes/"), participant.name(), participant.reachable() ? "up" : "unreachable",
           participant.description().build(), tools,
           participant.description().open_run_id().empty() ? "-" : participant.description().open_run_id()});
      if (!participant.reachable()) silent += participant.error() + "\n";
    }
    foreign += ForeignServices(node);
  }
  const std::string health = conditions.size() > 1 ? "\n" + RenderTable(conditions) : "";
  return RenderTable(rows) + health + silent + foreign;
}

std::string RenderRun(const pb::Run& run, const std::vector<pb::RunStep>& steps) {
  std::string text = fmt::format("run      {}\nstate    {}\ncreated  {}\n", Strip(run.name(), "runs/"),
                                 StateText(run.state()), LocalTime(run.create_time()));
  if (!run.rollback_of().empty()) text += fmt::format("rollback of {}\n", Strip(run.rollback_of(), "runs/"));
  if (run.has_end_time()) text += fmt::format("ended    {}\n", LocalTime(run.end_time()));
  if (!run.error().empty()) text += fmt::format("error    {}\n", run.error());
  std::string allowed;
  for (const auto& key : run.allow()) allowed += (allowed.empty() ? "" : ", ") + key;
  if (!allowed.empty()) text += fmt::format("allowed  {}\n", allowed);
  if (run.no_install()) text += "packages none but allowed ones (--no-install)\n";
  if (run.wipe_size() > 0) {
    text += "wipes   ";
    for (const auto& disk : run.wipe()) text += " " + disk;
    text += "\n";
  }
  if (run.allow_unhealthy_size() > 0) {
    text += "used although unhealthy ";
    for (const auto& name : run.allow_unhealthy()) text += " " + name;
    text += "\n";
  }
  if (run.prune_size() > 0) {
    text += "prunes  ";
    for (const int kind : run.prune()) text += " " + PruneWord(static_cast<pb::Orphans>(kind));
    text += "\n";
  }
  for (const auto& wait : run.waits()) {
    text += fmt::format("waiting  for {}/{} since {}: {}\n", wait.node(), wait.participant(),
                        LocalTime(wait.since_time()),
                        wait.problem().empty() ? wait.call() + " has no answer yet" : wait.problem());
  }
  std::vector<std::vector<std::string>> rows;
  rows.reserve(steps.size());
  for (const auto& step : steps) {
    rows.push_back({fmt::format("{:>3}", step.ordinal()), StateText(step.state()), step.node(),
                    step.participant(), step.step().action() + " " + step.step().resource(), step.error()});
  }
  text += RenderTable(rows);
  for (const auto& step : steps) {
    if (step.state() != pb::RunStep::STATE_QUARANTINED) continue;
    text += fmt::format("quarantined on {}: {}\n  {}\n  by hand:\n", step.node(), step.step().resource(),
                        step.error());
    for (const auto& command : step.remaining_commands()) text += fmt::format("    {}\n", command);
    text += fmt::format("  then: phoenix resolve {}\n", Strip(run.name(), "runs/"));
  }
  for (const auto& unresolved : run.unresolved()) text += fmt::format("unresolved: {}\n", unresolved);
  return text;
}

std::string RenderEvent(const pb::WatchRunResponse& event) {
  // A wait is no event of the log, and has no number of its own.
  if (event.kind() == "WAITING") return fmt::format("      {}\n", event.text());
  return fmt::format("{:>4}  {}\n", event.sequence(), event.text());
}

}  // namespace phoenix::cli

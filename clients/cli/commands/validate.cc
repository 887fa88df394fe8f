// phoenix validate FILE…: needs no daemon.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/declaration.h"
#include "orchestrator/config/fleet.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/lxc_section.h"
#include "orchestrator/config/persistent_volumes.h"
#include "orchestrator/config/secrets.h"
#include "orchestrator/config/vm_delivery.h"
#include "orchestrator/config/vm_section.h"

namespace phoenix::cli {
namespace {

struct ValidateFlags {
  std::vector<std::string> files;
  std::string fleet;
  std::string secrets;
  std::string vms;
  std::string lxc;
  bool strict = false;
};

nlohmann::json ToJson(const config::Finding& finding) {
  return {{"rule", finding.rule},       {"path", finding.where.path}, {"line", finding.where.line},
          {"message", finding.message}, {"found", finding.found},     {"allowed", finding.allowed}};
}

// The container file, where one is given, and the nodes of the fleet, where they are known.
struct Containers {
  std::optional<config::LxcResult> lxc;
  std::vector<std::string> nodes;
};

// What is found in a configuration and, where there are containers, in the two files together.
config::Findings Check(const std::string& text, const config::Overrides& overrides,
                       const Containers& containers, const std::string& node) {
  config::LoadResult loaded = config::Load(text, overrides);
  std::optional<config::LxcResult> lxc = containers.lxc;
  if (lxc.has_value() && loaded.ok())
    config::PlacePersistentVolumes(node, containers.nodes, lxc->containers, loaded.config, loaded.findings);
  (void)config::WithSharedVolumes(lxc.has_value() ? &*lxc : nullptr, loaded.config, loaded.findings);
  loaded.findings.SortByPlace();
  return std::move(loaded.findings);
}

config::Findings With(config::Findings findings, const config::Findings& more) {
  findings.errors.insert(findings.errors.end(), more.errors.begin(), more.errors.end());
  findings.lints.insert(findings.lints.end(), more.lints.begin(), more.lints.end());
  findings.SortByPlace();
  return findings;
}

// What is found in the configuration of each node, told once: first what is so on all of them, under "", then
// what is so on some, under their names ("hv1, hv3").
std::vector<std::pair<std::string, config::Findings>> ByNodes(const std::vector<config::FleetNode>& nodes,
                                                              const std::vector<config::Findings>& found) {
  std::vector<std::pair<std::string, config::Findings>> groups(1);
  const auto sort_out = [&](std::vector<config::Finding> config::Findings::* kind) {
    std::map<std::string, std::set<size_t>> whom;
    for (size_t i = 0; i < found.size(); ++i) {
      for (const config::Finding& finding : found[i].*kind) whom[finding.ToString()].insert(i);
    }
    for (size_t i = 0; i < found.size(); ++i) {
      for (const config::Finding& finding : found[i].*kind) {
        const std::set<size_t>& concerned = whom[finding.ToString()];
        if (*concerned.begin() != i) continue;
        std::string names;
        if (concerned.size() != nodes.size()) {
          for (const size_t node : concerned) names += (names.empty() ? "" : ", ") + nodes[node].name;
        }
        auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const auto& known) { return known.first == names; });
        if (group == groups.end()) group = groups.insert(group, {names, {}});
        (group->second.*kind).push_back(finding);
      }
    }
  };
  sort_out(&config::Findings::errors);
  sort_out(&config::Findings::lints);
  return groups;
}

// Besides what the file says, whether plan and setup would take it. No value is in any finding.
config::Findings CheckSecrets(const std::string& file, const std::string& text) {
  config::Findings findings = config::LoadSecrets(text).findings;
  struct stat status{};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & 0077) != 0) {
    findings.Error("secrets-mode", {"$", 0}, "this file can be read by others",
                   fmt::format("mode {:04o}", status.st_mode & 07777), "mode 0600: chmod 600 " + file);
  }
  return findings;
}

// By the file that the places are in.
struct ByFile {
  config::Findings vms, configuration;
};

// The VMs alone, and what the configuration makes of them on every node of the fleet; without a fleet, on
// any. What is wrong with the configuration itself is told elsewhere.
absl::StatusOr<ByFile> CheckVms(const ValidateFlags& flags, const config::FleetResult& fleet) {
  ByFile findings;
  if (flags.vms.empty()) return findings;
  PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(flags.vms));
  const config::VmResult vms = config::LoadVms(text);
  findings.vms = vms.findings;
  if (!vms.ok() || flags.files.size() != 1) return findings;
  PHX_ASSIGN_OR_RETURN(const std::string config_text, ReadText(flags.files.front()));
  PHX_ASSIGN_OR_RETURN(const auto scripts, ReadFeatureScripts(flags.files.front(), config_text, text));
  std::vector<config::FleetNode> nodes = fleet.nodes;
  std::vector<std::string> names;
  for (const config::FleetNode& node : nodes) names.push_back(node.name);
  if (nodes.empty()) {
    nodes.emplace_back();
    for (const config::Vm& vm : vms.vms) names.push_back(vm.node);
  }
  std::set<std::string> told;
  const auto add = [&](std::vector<config::Finding>& from,
                       std::vector<config::Finding> config::Findings::* kind) {
    constexpr std::string_view kVms = "vms ";
    for (config::Finding& finding : from) {
      if (!told.insert(finding.ToString()).second) continue;
      const bool of_vms = finding.where.path.starts_with(kVms);
      if (of_vms) finding.where.path.erase(0, kVms.size());
      ((of_vms ? findings.vms : findings.configuration).*kind).push_back(std::move(finding));
    }
  };
  for (const config::FleetNode& node : nodes) {
    config::LoadResult loaded = config::Load(config_text, config::OverridesOf(node.name, node.overrides));
    if (!loaded.ok()) continue;
    config::Findings made;
    std::vector<config::Vm> served = vms.vms;
    // Without a fleet, every VM is looked at.
    if (fleet.nodes.empty()) {
      for (config::Vm& vm : served) vm.node.clear();
    }
    config::DeliverFeatures(served, scripts, node.name, names, loaded.config, made);
    add(made.errors, &config::Findings::errors);
    add(made.lints, &config::Findings::lints);
  }
  return findings;
}

class Report {
 public:
  explicit Report(const Session& session) : session_(session) {}

  void Add(const std::string& file, const char* kind, const config::Findings& findings) {
    errors_ += findings.errors.size();
    lints_ += findings.lints.size();
    if (session_.output == Output::kJson) {
      nlohmann::json entry = {{"file", file},
                              {"kind", kind},
                              {"errors", nlohmann::json::array()},
                              {"lints", nlohmann::json::array()}};
      for (const auto& error : findings.errors) entry["errors"].push_back(ToJson(error));
      for (const auto& lint : findings.lints) entry["lints"].push_back(ToJson(lint));
      report_.push_back(entry);
      return;
    }
    for (const auto& error : findings.errors) fmt::print("{}: error: {}\n", file, error.ToString());
    for (const auto& lint : findings.lints) fmt::print("{}: warning: {}\n", file, lint.ToString());
    fmt::print("{}: {} error(s), {} warning(s)\n", file, findings.errors.size(), findings.lints.size());
  }

  int Finish(bool strict) const {
    if (session_.output == Output::kJson) fmt::print("{}\n", report_.dump(2));
    return errors_ > 0 || (strict && lints_ > 0) ? kError : kDone;
  }

 private:
  const Session& session_;
  nlohmann::json report_ = nlohmann::json::array();
  size_t errors_ = 0, lints_ = 0;
};

int Validate(const Session& session, const ValidateFlags& flags) {
  if (flags.files.empty() && flags.fleet.empty() && flags.secrets.empty() && flags.vms.empty() &&
      flags.lxc.empty()) {
    return Fail(session, InvalidArgument(
                             "name a configuration, --fleet FILE, --secrets FILE, --vms FILE or --lxc FILE"));
  }
  Report report(session);
  config::FleetResult fleet;
  if (!flags.fleet.empty()) {
    const auto text = ReadText(flags.fleet);
    if (!text.ok()) return Fail(session, text.status());
    fleet = config::LoadFleet(*text);
  }
  Containers containers;
  for (const config::FleetNode& node : fleet.nodes) containers.nodes.push_back(node.name);
  if (!flags.lxc.empty()) {
    const auto text = ReadText(flags.lxc);
    if (!text.ok()) return Fail(session, text.status());
    containers.lxc = config::LoadLxc(*text);
  }
  const auto checked = CheckVms(flags, fleet);
  const ByFile of_vms = checked.ok() ? *checked : ByFile();
  for (const std::string& file : flags.files) {
    const auto text = ReadText(file);
    if (!text.ok()) return Fail(session, text.status());
    if (fleet.nodes.empty()) {
      report.Add(file, "configuration", With(Check(*text, {}, containers, ""), of_vms.configuration));
      continue;
    }
    // What counts is what each node gets, as for plan and setup: a base may lack what every node has of its
    // own.
    std::vector<config::Findings> found;
    for (const config::FleetNode& node : fleet.nodes) {
      found.push_back(Check(*text, config::OverridesOf(node.name, node.overrides), containers, node.name));
    }
    auto groups = ByNodes(fleet.nodes, found);
    groups.front().second = With(std::move(groups.front().second), of_vms.configuration);
    for (const auto& [names, findings] : groups)
      report.Add(names.empty() ? file : fmt::format("{} for {}", file, names), "configuration", findings);
  }
  if (!flags.fleet.empty()) report.Add(flags.fleet, "fleet", fleet.findings);
  if (!flags.secrets.empty()) {
    const auto text = ReadText(flags.secrets);
    if (!text.ok()) return Fail(session, text.status());
    report.Add(flags.secrets, "secrets", CheckSecrets(flags.secrets, *text));
  }
  if (!checked.ok()) return Fail(session, checked.status());
  if (!flags.vms.empty()) report.Add(flags.vms, "vms", of_vms.vms);
  if (containers.lxc.has_value()) report.Add(flags.lxc, "lxc", containers.lxc->findings);
  return report.Finish(flags.strict);
}

}  // namespace

void AddValidate(CLI::App& app, Session& session, int& exit_code) {
  auto flags = std::make_shared<ValidateFlags>();
  auto* command = app.add_subcommand(
      "validate", "Check configurations, a fleet, secrets, VMs and containers; needs no daemon");
  command->add_option("FILE", flags->files, "Configuration files");
  command->add_option("--fleet", flags->fleet, "Fleet file");
  command->add_option("--secrets", flags->secrets, "Secrets file");
  command->add_option("--vms", flags->vms,
                      "VM file; beside one configuration, what that makes of it is checked, too");
  command->add_option("--lxc", flags->lxc, "Containers, phoenix_lxc_configs.json");
  command->add_flag("--strict", flags->strict, "Warnings fail too");
  command->callback([&session, &exit_code, flags] { exit_code = Validate(session, *flags); });
}

}  // namespace phoenix::cli

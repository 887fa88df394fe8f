// phoenix validate FILE…: needs no daemon.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/declaration.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/lxc_section.h"

namespace phoenix::cli {
namespace {

struct ValidateFlags {
  std::vector<std::string> files;
  std::vector<std::string> lxc_files;
  bool strict = false;
};

nlohmann::json ToJson(const config::Finding& finding) {
  return {{"rule", finding.rule},       {"path", finding.where.path}, {"line", finding.where.line},
          {"message", finding.message}, {"found", finding.found},     {"allowed", finding.allowed}};
}

struct Checked {
  std::string file;
  config::Findings findings;
};

absl::StatusOr<std::vector<Checked>> Check(const ValidateFlags& flags) {
  std::vector<Checked> checked;
  for (const std::string& file : flags.files) {
    PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(file));
    checked.push_back({file, config::Load(text).findings});
  }
  for (const std::string& file : flags.lxc_files) {
    PHX_ASSIGN_OR_RETURN(const std::string text, ReadText(file));
    checked.push_back({file, config::LoadLxc(text).findings});
  }
  return checked;
}

int Validate(const Session& session, const ValidateFlags& flags) {
  if (flags.files.empty() && flags.lxc_files.empty())
    return Fail(session, InvalidArgument("there is no file to check: give FILE or --lxc FILE"));
  const auto checked = Check(flags);
  if (!checked.ok()) return Fail(session, checked.status());
  int exit_code = kDone;
  nlohmann::json report = nlohmann::json::array();
  for (const auto& [file, findings] : *checked) {
    if (!findings.errors.empty() || (flags.strict && !findings.lints.empty())) exit_code = kError;
    if (session.output == Output::kJson) {
      nlohmann::json entry = {
          {"file", file}, {"errors", nlohmann::json::array()}, {"lints", nlohmann::json::array()}};
      for (const auto& error : findings.errors) entry["errors"].push_back(ToJson(error));
      for (const auto& lint : findings.lints) entry["lints"].push_back(ToJson(lint));
      report.push_back(entry);
      continue;
    }
    for (const auto& error : findings.errors) fmt::print("{}: error: {}\n", file, error.ToString());
    for (const auto& lint : findings.lints) fmt::print("{}: warning: {}\n", file, lint.ToString());
    fmt::print("{}: {} error(s), {} warning(s)\n", file, findings.errors.size(), findings.lints.size());
  }
  if (session.output == Output::kJson) fmt::print("{}\n", report.dump(2));
  return exit_code;
}

}  // namespace

void AddValidate(CLI::App& app, Session& session, int& exit_code) {
  auto flags = std::make_shared<ValidateFlags>();
  auto* command = app.add_subcommand("validate", "Check configuration files; needs no daemon");
  command->add_option("FILE", flags->files, "Configuration files");
  command->add_option("--lxc", flags->lxc_files, "Container configurations, phoenix_lxc_configs.json");
  command->add_flag("--strict", flags->strict, "Warnings fail too");
  command->callback([&session, &exit_code, flags] { exit_code = Validate(session, *flags); });
}

}  // namespace phoenix::cli

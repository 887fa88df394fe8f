// phoenix validate FILE…: needs no daemon.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/declaration.h"
#include "orchestrator/config/loader.h"

namespace phoenix::cli {
namespace {

struct ValidateFlags {
  std::vector<std::string> files;
  bool strict = false;
};

nlohmann::json ToJson(const config::Finding& finding) {
  return {{"rule", finding.rule},       {"path", finding.where.path}, {"line", finding.where.line},
          {"message", finding.message}, {"found", finding.found},     {"allowed", finding.allowed}};
}

int Validate(const Session& session, const ValidateFlags& flags) {
  int exit_code = kDone;
  nlohmann::json report = nlohmann::json::array();
  for (const std::string& file : flags.files) {
    const auto text = ReadText(file);
    if (!text.ok()) return Fail(session, text.status());
    const config::LoadResult loaded = config::Load(*text);
    if (!loaded.ok() || (flags.strict && !loaded.findings.lints.empty())) exit_code = kError;
    if (session.output == Output::kJson) {
      nlohmann::json entry = {
          {"file", file}, {"errors", nlohmann::json::array()}, {"lints", nlohmann::json::array()}};
      for (const auto& error : loaded.findings.errors) entry["errors"].push_back(ToJson(error));
      for (const auto& lint : loaded.findings.lints) entry["lints"].push_back(ToJson(lint));
      report.push_back(entry);
      continue;
    }
    for (const auto& error : loaded.findings.errors) fmt::print("{}: error: {}\n", file, error.ToString());
    for (const auto& lint : loaded.findings.lints) fmt::print("{}: warning: {}\n", file, lint.ToString());
    fmt::print("{}: {} error(s), {} warning(s)\n", file, loaded.findings.errors.size(),
               loaded.findings.lints.size());
  }
  if (session.output == Output::kJson) fmt::print("{}\n", report.dump(2));
  return exit_code;
}

}  // namespace

void AddValidate(CLI::App& app, Session& session, int& exit_code) {
  auto flags = std::make_shared<ValidateFlags>();
  auto* command = app.add_subcommand("validate", "Check configuration files; needs no daemon");
  command->add_option("FILE", flags->files, "Configuration files")->required();
  command->add_flag("--strict", flags->strict, "Warnings fail too");
  command->callback([&session, &exit_code, flags] { exit_code = Validate(session, *flags); });
}

}  // namespace phoenix::cli

// One function per command, one file per noun. Each adds itself to the app; its exit code lands in
// `exit_code`.
#pragma once

#include <CLI/CLI.hpp>

#include "clients/cli/session.h"

namespace phoenix::cli {

void AddValidate(CLI::App& app, Session& session, int& exit_code);
void AddPlanAndSetup(CLI::App& app, Session& session, int& exit_code);
void AddRuns(CLI::App& app, Session& session, int& exit_code);
void AddNodes(CLI::App& app, Session& session, int& exit_code);
void AddNode(CLI::App& app, Session& session, int& exit_code);
void AddResolve(CLI::App& app, Session& session, int& exit_code);
void AddPki(CLI::App& app, Session& session, int& exit_code);

// Watches a run to its end and answers the exit code that its state means.
int WatchToEnd(const Session& session, const std::string& run_name);
int ExitCodeOf(pb::Run::State state);

}  // namespace phoenix::cli

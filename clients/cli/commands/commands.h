// One function per command, one file per noun. Each adds itself to the app; its exit code lands in
// `exit_code`.
#pragma once

#include <CLI/CLI.hpp>

#include "clients/cli/session.h"

namespace phoenix::cli {

void AddValidate(CLI::App& app, Session& session, int& exit_code);
void AddPlanAndSetup(CLI::App& app, Session& session, int& exit_code);
void AddRuns(CLI::App& app, Session& session, int& exit_code);
void AddRollback(CLI::App& app, Session& session, int& exit_code);
void AddNodes(CLI::App& app, Session& session, int& exit_code);
void AddNode(CLI::App& app, Session& session, int& exit_code);
void AddResolve(CLI::App& app, Session& session, int& exit_code);
void AddKept(CLI::App& app, Session& session, int& exit_code);
void AddPki(CLI::App& app, Session& session, int& exit_code);

// "runs/RUN" for a run as people name it.
std::string RunNameOf(const std::string& run);
void ShowPlan(const Session& session, const pb::PlanRunResponse& plan);
// What taking back a committed run would do, or why it cannot be taken back.
absl::StatusOr<pb::PlanRunResponse> PlanOfRollback(const Session& session,
                                                   pb::OrchestratorService::Stub& stub,
                                                   const std::string& run_name,
                                                   const std::vector<std::string>& allow = {});
// Watches a run to its end and answers the exit code that its state means.
int WatchToEnd(const Session& session, const std::string& run_name);
int ExitCodeOf(pb::Run::State state);

}  // namespace phoenix::cli

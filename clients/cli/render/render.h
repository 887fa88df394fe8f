// What the commands show: text for people, JSON for programs. Pure but for the stream it prints to.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "phoenix/orchestrator/v1/orchestrator.pb.h"

namespace phoenix::cli {

namespace pb = ::phoenix::orchestrator::v1;

// The protobuf JSON form, with every field.
std::string ToJson(const google::protobuf::Message& message);

// The plan as people read it: per node and service, each step with before and after, its class and its undo.
std::string RenderPlan(const std::vector<pb::RunStep>& steps, const std::vector<pb::NodeNote>& notes,
                       int barrier_ordinal, bool color);
// What the nodes keep as it is before the first step, one line for each service; "" where there is nothing.
std::string RenderCheckpoints(const std::vector<pb::NodeCheckpoint>& checkpoints);
// "--allow KEY", as a shell takes it.
std::string AllowWord(const std::string& key);
// "exports": a kind as --prune takes it.
std::string PruneWord(pb::Orphans kind);
// At most `width` characters of UTF-8 text; what is cut ends in "…". Newlines become blanks.
std::string Cut(const std::string& text, size_t width);
// Columns aligned by content.
std::string RenderTable(const std::vector<std::vector<std::string>>& rows);
std::string RenderRuns(const std::vector<pb::Run>& runs);
// A table, and below it how each node's objects are, why each silent service is silent and which nodes obey
// another orchestrator. `verbose`: with objects that ask for nothing.
std::string RenderNodes(const std::vector<pb::Node>& nodes, bool verbose = false);
// One run with what became of it and what to do.
std::string RenderRun(const pb::Run& run, const std::vector<pb::RunStep>& steps);
// One event as one line.
std::string RenderEvent(const pb::WatchRunResponse& event);
std::string StateText(pb::Run::State state);
std::string StateText(pb::RunStep::State state);

}  // namespace phoenix::cli

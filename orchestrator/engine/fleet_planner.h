// Plans a declaration over the fleet: every participant plans at once; keys that one disturbs or removes go
// to the others in a second round; one order over everything comes out.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/status/errors.h"
#include "orchestrator/fleet/channels.h"
#include "orchestrator/run/event.h"

namespace phoenix::engine {

// A spec as the configuration makes it: the engine does not read it.
struct Spec {
  std::string participant;
  std::string type;
  std::string content;
};

// Makes the specs of one node from what is asked for. An error names every wrong place, for people and as
// violations. Notes are lints.
struct NodeSpecs {
  std::vector<Spec> specs;
  // What the node is reached by, as its configuration says: others mount from there.
  std::vector<std::string> addresses;
  std::vector<kit::Note> notes;
  // What no other node of the run may have as well, with its place: an address that guests are told.
  std::vector<FieldViolation> own;
};
using SpecMaker = std::function<absl::StatusOr<NodeSpecs>(
    const run::Request& request, const run::NodeAddress& node, const Secrets& secrets)>;

class FleetPlanner {
 public:
  FleetPlanner(fleet::Channels& channels, SpecMaker make_specs)
      : channels_(channels), make_specs_(std::move(make_specs)) {}
  // UNAVAILABLE when a node does not answer, otherwise every problem of every node at once. A node that obeys
  // another authority than `authority` is refused too, once everybody answered.
  absl::StatusOr<run::FleetPlan> MakePlan(const run::Request& request, const Secrets& secrets,
                                          const std::string& authority);

 private:
  fleet::Channels& channels_;
  const SpecMaker make_specs_;
};

}  // namespace phoenix::engine

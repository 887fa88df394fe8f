// What every node service's main() does besides constructing its own things: flags, logging, journal,
// recovery, server.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/kit/participant/domain.h"
#include "services/kit/participant/participant.h"
#include "services/kit/rpc/typed.h"
#include "services/kit/sim/machine.h"

namespace CLI {
class App;
}

namespace phoenix::kit {

// What a daemon stands on: the real machine, or a simulated one with --sim=DIR.
struct Surroundings {
  // Null on the real machine.
  std::shared_ptr<Machine> machine;
  // The real runner; on a simulated machine it must not be used.
  CommandRunner* runner = nullptr;
  Files* files = nullptr;
  // This participant's own folder, 0700.
  std::string state_directory;
  std::string node;
};

// What a domain's main() brings.
struct DaemonDefinition {
  std::string participant;  // "zfs"
  std::string program;      // "phoenix-zfsd"
  std::string description;
  // Called once; the objects live until the daemon ends. An error is shown and ends the daemon.
  std::function<absl::StatusOr<std::shared_ptr<Domain>>(const Surroundings&)> make_domain;
  // Adds flags of this daemon alone; may be null.
  std::function<void(CLI::App&)> add_flags = {};
  std::string typed_service;  // "phoenix.zfs.v1.ZfsService"
  // Makes it, over the same participant.
  std::function<std::shared_ptr<grpc::Service>(TypedGround)> make_service;
};

// Returns the exit code.
int RunDaemon(int argc, char** argv, const DaemonDefinition& definition);

}  // namespace phoenix::kit

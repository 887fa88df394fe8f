// A daemon's gRPC server: unix socket with checked peers, TCP only with mutual TLS, health, reflection,
// limits, drain.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "services/kit/rpc/unix_listener.h"

namespace phoenix::kit {

struct TlsFiles {
  std::string ca;           // PEM
  std::string certificate;  // PEM
  std::string key;          // PEM, mode 0600
};

struct ServerSettings {
  // "host:port"; empty for no TCP.
  std::string listen;
  TlsFiles tls;
  // Reflection on TCP; the unix socket always has it.
  bool reflection = false;
};

// A service and its full name, "phoenix.zfs.v1.ZfsService": health is told by name.
struct ServedService {
  std::string name;
  grpc::Service* service;
};

class RunningServer {
 public:
  // `listener` was bound first of all: its lock is what keeps a second daemon from touching journal and
  // machine. Health is SERVING for the whole server ("") and for each of `services` until it drains.
  static absl::StatusOr<std::unique_ptr<RunningServer>> Start(const ServerSettings& settings,
                                                              std::unique_ptr<UnixListener> listener,
                                                              const std::vector<ServedService>& services);
  // Stops accepting, lets calls end for up to ten seconds, then cancels them; the work they started goes on.
  ~RunningServer();
  grpc::Server& server() { return *server_; }

 private:
  RunningServer() = default;
  std::unique_ptr<UnixListener> listener_;
  std::unique_ptr<grpc::Server> server_;
};

// Must be called before any thread is started: all threads inherit the blocked signals.
void BlockStopSignals();
// Returns when SIGTERM or SIGINT arrives.
void AwaitStopSignal();

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const TlsFiles& files);

}  // namespace phoenix::kit

// Accepts connections of a unix socket itself, since gRPC shows no peer credentials: only root, the daemon's
// own user and the system user `phoenix` get through; their connections are handed to gRPC.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <thread>

namespace phoenix::kit {

class UnixListener {
 public:
  // Takes the lock file beside the socket first: gRPC would let a second process steal a live socket.
  static absl::StatusOr<std::unique_ptr<UnixListener>> Bind(const std::string& path);
  ~UnixListener();

  // From now on connections reach `server`, which must outlive this object or Stop().
  void Start(grpc::Server* server);
  void Stop();

 private:
  UnixListener(std::string path, int lock_fd, int listen_fd, int wake_read, int wake_write)
      : path_(std::move(path)),
        lock_fd_(lock_fd),
        listen_fd_(listen_fd),
        wake_read_(wake_read),
        wake_write_(wake_write) {}
  void Loop(grpc::Server* server);

  const std::string path_;
  int lock_fd_;
  int listen_fd_;
  int wake_read_;
  int wake_write_;
  std::thread thread_;
};

}  // namespace phoenix::kit

// A mount as a client makes it, in this process: nothing is mounted on the node.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace phoenix::nfs {

struct MountFinding {
  // "4" or "3": the protocol that answered.
  std::string version;
  // The server lets root of this client write: of a squashed root that depends on the directory's owner and
  // mode.
  bool writable = false;
};

// Thread-safe.
class NfsProbe {
 public:
  virtual ~NfsProbe() = default;
  // The addresses of this node, loopback included, as text.
  virtual absl::StatusOr<std::vector<std::string>> OwnAddresses() = 0;
  // Mounts `path` from `server`, one of the node's own addresses, so that the server sees that address as its
  // client, at its port (kStandardPort, unless nfs.conf says otherwise), asks what it may do with the top
  // directory, and leaves. It creates nothing: a file, even one removed again, would count as data that
  // others wrote since the run began, and stand in the way of the file system's undo.
  virtual absl::StatusOr<MountFinding> Mount(const std::string& server, int port,
                                             const std::string& path) = 0;
};

}  // namespace phoenix::nfs

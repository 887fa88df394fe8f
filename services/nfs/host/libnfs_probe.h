// The probe over libnfs, a client in user space.
#pragma once

#include <string>
#include <vector>

#include "services/nfs/host/nfs_probe.h"

namespace phoenix::nfs {

class LibnfsProbe final : public NfsProbe {
 public:
  absl::StatusOr<std::vector<std::string>> OwnAddresses() override;
  absl::StatusOr<MountFinding> Mount(const std::string& server, int port, const std::string& path) override;
};

}  // namespace phoenix::nfs

#include "orchestrator/config/specs.h"

namespace phoenix::config {

std::vector<Spec> SpecsOf(const Config& config, const std::set<std::string>& secret_names,
                          const std::set<std::string>& prune, const std::vector<Container>& containers,
                          const std::vector<std::string>& wipe,
                          const std::vector<std::string>& allow_unhealthy) {
  return {ZfsSpecOf(config, wipe, allow_unhealthy), NfsSpecOf(config, prune),
          SambaSpecOf(config, secret_names, prune), ProxmoxSpecOf(config, containers, prune)};
}

}  // namespace phoenix::config

#include "orchestrator/config/specs.h"

namespace phoenix::config {

std::vector<Spec> SpecsOf(const Config& config, const std::set<std::string>& secret_names) {
  return {ZfsSpecOf(config), NfsSpecOf(config), SambaSpecOf(config, secret_names), ProxmoxSpecOf(config)};
}

}  // namespace phoenix::config

// From a Config to the specs that participants take: one file per domain, and this list of them. The engine
// reads none of them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "orchestrator/config/config.h"
#include "orchestrator/config/lxc_section.h"

namespace phoenix::config {

struct Spec {
  std::string participant;  // "zfs"
  std::string type;         // "phoenix.zfs.v1.ZfsSpec"
  std::string content;      // serialised
};

// One function per domain, each in a file of its own (zfs_spec.cc …).
// `wipe`: disks that may be wiped on this node; "*" to plan as if all might be. `allow_unhealthy`: disks and
// pools of this node that are used although they are unhealthy.
Spec ZfsSpecOf(const Config& config, const std::vector<std::string>& wipe = {},
               const std::vector<std::string>& allow_unhealthy = {});
Spec NfsSpecOf(const Config& config, const std::set<std::string>& prune);
// `secret_names`: which passwords the secrets hold.
Spec SambaSpecOf(const Config& config, const std::set<std::string>& secret_names,
                 const std::set<std::string>& prune);
// `containers`: with those of shared_volumes.
Spec ProxmoxSpecOf(const Config& config, const std::vector<Container>& containers,
                   const std::set<std::string>& prune);

// Every domain's spec for one node. A domain that the configuration does not speak of gets an empty spec, so
// that its orphans are still shown. `prune`: whose orphans go ("exports", "shares", "rules", "storages").
// `wipe`, `allow_unhealthy`: as ZfsSpecOf.
std::vector<Spec> SpecsOf(const Config& config, const std::set<std::string>& secret_names,
                          const std::set<std::string>& prune = {},
                          const std::vector<Container>& containers = {},
                          const std::vector<std::string>& wipe = {},
                          const std::vector<std::string>& allow_unhealthy = {});

}  // namespace phoenix::config

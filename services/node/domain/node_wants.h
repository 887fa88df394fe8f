// What a participant needs of a node. A pure value.
#pragma once

#include <string>
#include <vector>

#include "services/node/domain/firewall_rule.h"

namespace phoenix::node {

struct NodeWants {
  std::string participant;            // "nfs": names the notes' subject
  std::vector<std::string> packages;  // from the participant's fixed list
  std::vector<std::string> units;     // to be enabled and running, "smbd.service"
  std::vector<FirewallRule> rules;
  // A rule for 0.0.0.0/0 is meant for everybody, over IPv6, too.
  bool everyone = false;
  // Packages to be installed only where no firewall is present: "ufw".
  std::vector<std::string> firewall_packages;
  // The spec speaks of a part of the node only: what it does not name is not orphaned.
  bool partial = false;
  // Rules of ours that nothing wants any more go, instead of being reported.
  bool prune_rules = false;
};

}  // namespace phoenix::node

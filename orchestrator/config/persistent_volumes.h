// Volumes that outlive their containers, as what a configuration can say anyway: Proxmox VE destroys the
// volumes of a container with it, but never a directory that is bound. So each is a dataset and a bind mount.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"
#include "orchestrator/config/lxc_section.h"

namespace phoenix::config {

// Makes of every persistent volume a bind mount of its container and, on the node that holds it, a dataset
// beside the volumes of its storage, with the volume's size as quota and the container's root as owner.
// `node`: for which the configuration was loaded, "" for whichever; `nodes`: all of the fleet, empty where
// that is not known. Findings have the places of the container file.
void PlacePersistentVolumes(const std::string& node, const std::vector<std::string>& nodes,
                            std::vector<Container>& containers, Config& config, Findings& findings);

}  // namespace phoenix::config

// The features of VMs as what a configuration can say anyway: datasets with files, exports, a storage. What
// is new beside these is only the cloud-init data of a VM.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/config/config.h"
#include "orchestrator/config/finding.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/vm_section.h"

namespace phoenix::config {

// The files of the folder of scripts, as far as they are wanted, by file name.
using FeatureScripts = std::map<std::string, std::string>;

// Which files of the folder may be wanted: the candidates for every feature, and the common ones.
std::vector<std::string> WantedFiles(const VmFeatures& features, const std::vector<Vm>& vms);

// Adds to a configuration without errors, for every VM that `node` serves:
// - a dataset with its scripts, exported read-only, with root squashed, to this VM's address alone. A dataset
//   each, since an export of a folder lets its client reach the rest of that file system by guessing handles;
// - a dataset for its answers, of limited size, exported read-write with everybody squashed to nobody;
// - its cloud-init data as a snippet, and the wish that the VM takes it.
// What is wrong goes to `findings`, with places in the VM file ("vms $.vms[0]…"). `nodes`: all of the fleet.
void DeliverFeatures(const std::vector<Vm>& vms, const FeatureScripts& scripts, const std::string& node,
                     const std::vector<std::string>& nodes, Config& config, Findings& findings);

// The same from the text of a VM file, to a configuration that was loaded for `node`; nothing where that has
// errors. Findings of the VM file get places like "vms $.vms[0]". No text is doubtful where the configuration
// says from where to deliver.
void AddVms(std::string_view vms_text, const FeatureScripts& scripts, const std::string& node,
            const std::vector<std::string>& nodes, LoadResult& loaded);

}  // namespace phoenix::config

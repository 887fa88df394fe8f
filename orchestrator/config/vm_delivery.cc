#include "orchestrator/config/vm_delivery.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/digest/digest.h"
#include "orchestrator/config/names.h"
#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/sections.h"
#include "orchestrator/config/user_data.h"
#include "orchestrator/config/zfs_content.h"
#include "orchestrator/config/zfs_size.h"

namespace phoenix::config {
namespace {

// Whom the NFS server takes a squashed user for: nobody and nogroup.
constexpr const char* kNobody = "65534";
constexpr const char* kContextFile = "vm_context.json";

Origin OfVmFile(Origin origin) {
  origin.path = "vms " + origin.path;
  return origin;
}

bool SameNode(const std::string& a, const std::string& b) { return ToLower(a) == ToLower(b); }

// True for UTF-8 without control characters but tabs and line ends: a script, not a program.
bool IsText(const std::string& content) {
  for (std::size_t at = 0; at < content.size();) {
    const auto byte = static_cast<unsigned char>(content[at]);
    if (byte < 0x80) {
      if (byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r' && byte != 0x1b))
        return false;
      ++at;
      continue;
    }
    const std::size_t more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    if (byte < 0xc2 || byte > 0xf4 || at + more >= content.size()) return false;
    for (std::size_t i = 1; i <= more; ++i) {
      if ((static_cast<unsigned char>(content[at + i]) & 0xc0U) != 0x80U) return false;
    }
    // Neither longer than need be, nor half of a pair, nor past the last character.
    const auto second = static_cast<unsigned char>(content[at + 1]);
    const bool wrong = (byte == 0xe0 && second < 0xa0) || (byte == 0xed && second > 0x9f) ||
                       (byte == 0xf0 && second < 0x90) || (byte == 0xf4 && second > 0x8f);
    if (wrong) return false;
    at += more + 1;
  }
  return true;
}

void CheckNodes(const std::vector<Vm>& vms, const std::vector<std::string>& nodes, Findings& findings) {
  for (const Vm& vm : vms) {
    if (vm.node.empty() || std::any_of(nodes.begin(), nodes.end(),
                                       [&](const std::string& one) { return SameNode(one, vm.node); }))
      continue;
    findings.Error("unknown-node", OfVmFile(vm.origin), "the fleet has no such node", Quoted(vm.node),
                   OneOf(nodes));
  }
}

class Delivery {
 public:
  Delivery(const FeatureScripts& scripts, const std::string& node, Config& config, Findings& findings)
      : scripts_(scripts), node_(node), config_(config), wanted_(*config.vm_features), findings_(findings) {}

  void Add(const std::vector<Vm>& vms, const std::vector<std::string>& nodes) {
    std::vector<const Vm*> here;
    CheckNodes(vms, nodes, findings_);
    for (const Vm& vm : vms) {
      LintVolumes(vm);
      if (vm.node.empty() || SameNode(vm.node, node_)) here.push_back(&vm);
    }
    if (here.empty()) return;
    const bool only_gone = std::all_of(here.begin(), here.end(), [](const Vm* vm) { return vm->absent; });
    if (!only_gone) AddParent();
    PlaceSnippets(only_gone);
    for (const Vm* vm : here) {
      if (vm->absent) {
        Remove(*vm);
      } else {
        Deliver(*vm);
      }
    }
    CheckSizes();
  }

 private:
  std::string ScriptsDatasetOf(const Vm& vm) const { return fmt::format("{}/{}", wanted_.dataset, vm.vmid); }
  std::string InboxDatasetOf(const Vm& vm) const {
    return fmt::format("{}/inbox-{}", wanted_.dataset, vm.vmid);
  }
  static std::string SnippetOf(const Vm& vm, std::string_view part) {
    return fmt::format("phoenix-{}-{}.yaml", vm.vmid, part);
  }
  // Proxmox VE makes the instance id of user and network data; without another one cloud-init takes no
  // changed vendor data, and none at all where the VM has booted before.
  bool NeedsMeta() const { return wanted_.cloud_init == "vendor"; }

  Dataset MakeDataset(const std::string& full_name, const Origin& origin) const {
    Dataset dataset;
    dataset.pool = full_name.substr(0, full_name.find('/'));
    dataset.name = full_name.substr(dataset.pool.size() + 1);
    dataset.full_name = full_name;
    dataset.mountpoint = config_.MountPointOf(full_name);
    dataset.origin = origin;
    return dataset;
  }

  // The dataset that holds the others; where the file declares it, it is as declared there.
  void AddParent() {
    if (config_.FindDataset(wanted_.dataset) == nullptr)
      config_.datasets.push_back(MakeDataset(wanted_.dataset, wanted_.origin));
  }

  bool AddDataset(Dataset dataset) {
    if (const Dataset* other = config_.FindDataset(dataset.full_name)) {
      findings_.Error("duplicate-name", other->origin, "vm_features makes a dataset of this name for a VM",
                      Quoted(dataset.full_name), "another name");
      return false;
    }
    const auto longest = DatasetNameProblem(dataset.full_name);
    if (longest.has_value()) {
      findings_.Error("invalid-name", wanted_.origin, "the datasets for VMs would have no valid name",
                      Quoted(dataset.full_name), *longest);
      return false;
    }
    const auto at_its_place = [&](const Dataset& one) {
      return !one.absent && one.mountpoint == dataset.mountpoint;
    };
    const auto other = std::find_if(config_.datasets.begin(), config_.datasets.end(), at_its_place);
    if (other != config_.datasets.end()) {
      findings_.Error("duplicate-mountpoint", other->origin,
                      "what vm_features makes for a VM would be mounted there", Quoted(dataset.mountpoint),
                      "every mount point once");
      return false;
    }
    config_.datasets.push_back(std::move(dataset));
    return true;
  }

  // Programs in it are for VMs: nothing of it runs on the node. And a VM that reads does not change it, or
  // nobody could tell whether to roll it back.
  static void Harden(Dataset& dataset) {
    for (const char* name : {"exec", "setuid", "devices", "atime"})
      dataset.properties[name] = {"off", "off", dataset.origin};
  }

  // A snippet's storage: the declared one, or one of its own.
  void PlaceSnippets(bool only_gone) {
    const std::string own = wanted_.dataset + "/snippets";
    if (!wanted_.snippets_storage.empty()) {
      for (const ProxmoxStorage& storage : config_.storages) {
        if (storage.id == wanted_.snippets_storage) snippets_dataset_ = storage.dataset;
      }
      storage_ = wanted_.snippets_storage;
      return;
    }
    storage_ = own;
    std::replace(storage_.begin(), storage_.end(), '/', '-');
    if (const auto problem = StorageIdProblem(storage_)) {
      findings_.Error("invalid-name", wanted_.origin, "the storage for snippets would have no valid id",
                      Quoted(storage_), *problem + "; name a declared one as snippets_storage");
      return;
    }
    if (only_gone) return;  // it stays as it is: other VMs may still have theirs in it
    for (const ProxmoxStorage& other : config_.storages) {
      if (ToLower(other.id) != ToLower(storage_)) continue;
      findings_.Error("duplicate-name", other.origin, "vm_features makes a storage of this id for snippets",
                      Quoted(storage_), "another id, or this one as snippets_storage");
      return;
    }
    Dataset dataset = MakeDataset(own, wanted_.origin);
    Harden(dataset);
    ProxmoxStorage storage;
    storage.id = storage_;
    storage.type = StorageType::kDir;
    storage.contents = {"snippets"};
    storage.dataset = own;
    storage.path = dataset.mountpoint;
    storage.origin = wanted_.origin;
    if (!AddDataset(std::move(dataset))) return;
    snippets_dataset_ = own;
    config_.storages.push_back(std::move(storage));
  }

  // The script's file name; nothing after an error.
  std::optional<std::string> ScriptOf(const Text& feature) {
    std::vector<std::string> found;
    for (const std::string& name : ScriptNamesOf(feature.value)) {
      if (scripts_.count(name) != 0) found.push_back(name);
    }
    if (found.size() == 1) return found.front();
    if (found.empty()) {
      findings_.Error("missing-script", OfVmFile(feature.origin),
                      fmt::format("the folder {} has no script for the feature {}", wanted_.scripts,
                                  Quoted(feature.value)),
                      {}, OneOf(ScriptNamesOf(feature.value)));
    } else {
      findings_.Error("ambiguous-script", OfVmFile(feature.origin),
                      fmt::format("the folder {} has several scripts for the feature {}: {}", wanted_.scripts,
                                  Quoted(feature.value), fmt::join(found, ", ")),
                      {}, "one of them");
    }
    return std::nullopt;
  }

  void Deliver(const Vm& vm) {
    const Origin origin = OfVmFile(vm.origin);
    UserData data{vm.vmid,
                  wanted_.cloud_init == "user" ? vm.name : "",
                  wanted_.server,
                  {},
                  {},
                  wanted_.mount_point,
                  wanted_.inbox_mount_point,
                  {},
                  {}};
    std::set<std::string> names(wanted_.common_files.begin(), wanted_.common_files.end());
    for (const Text& feature : vm.features) {
      const auto script = ScriptOf(feature);
      if (!script.has_value()) continue;
      names.insert(*script);
      data.runs.push_back({feature.value, *script});
    }
    Dataset dataset = MakeDataset(ScriptsDatasetOf(vm), origin);
    Harden(dataset);
    // Root in the VM comes as nobody: it reads as the group, and others on the node do not.
    dataset.ownership = Ownership{"root", kNobody, 0750};
    for (const std::string& name : names) AddScript(name, dataset, data);
    AddFile(kContextFile, vm.context, dataset, data);
    data.scripts_path = dataset.mountpoint;
    Dataset inbox = MakeDataset(InboxDatasetOf(vm), origin);
    Harden(inbox);
    inbox.ownership = Ownership{kNobody, kNobody, 0700};
    const auto quota = ParseZfsSize(wanted_.inbox_quota);
    inbox.properties["quota"] = {wanted_.inbox_quota, std::to_string(quota.value_or(0)), origin};
    data.inbox_path = inbox.mountpoint;
    AddExport(vm, dataset, {"ro", "sync", "root_squash", "no_subtree_check"});
    AddExport(vm, inbox,
              {"rw", "sync", "all_squash", fmt::format("anonuid={}", kNobody),
               fmt::format("anongid={}", kNobody), "no_subtree_check"});
    AddDataset(std::move(dataset));
    AddDataset(std::move(inbox));
    AddSnippet(vm, data);
  }

  void AddScript(const std::string& name, Dataset& dataset, UserData& data) {
    const auto script = scripts_.find(name);
    if (script == scripts_.end()) {
      Once("missing-script:" + name, [&] {
        findings_.Error("missing-script", wanted_.origin,
                        fmt::format("the folder {} has no file of this name", wanted_.scripts), Quoted(name),
                        "a file of that folder among common_files");
      });
      return;
    }
    if (!IsText(script->second)) {
      Once("invalid-script:" + name, [&] {
        findings_.Error("invalid-script", wanted_.origin,
                        fmt::format("a file of the folder {} is no text", wanted_.scripts), Quoted(name),
                        "UTF-8 without control characters: scripts, no programs");
      });
      return;
    }
    AddFile(name, script->second, dataset, data);
  }

  static void AddFile(const std::string& name, const std::string& content, Dataset& dataset, UserData& data) {
    DatasetFile file;
    file.path = name;
    file.content = content;
    file.group = kNobody;
    file.mode = 0640;
    file.origin = dataset.origin;
    dataset.files.push_back(std::move(file));
    data.files.push_back({name, Sha256Hex(content)});
  }

  void AddExport(const Vm& vm, const Dataset& dataset, std::vector<std::string> options) {
    NfsExport entry;
    entry.path = dataset.mountpoint;
    entry.clients = {vm.address};
    entry.options = std::move(options);
    entry.dataset = dataset.full_name;
    entry.origin = dataset.origin;
    config_.exports.push_back(std::move(entry));
  }

  void AddSnippet(const Vm& vm, const UserData& data) {
    for (Dataset& dataset : config_.datasets) {
      if (dataset.full_name != snippets_dataset_) continue;
      const std::string content = CloudConfig(data);
      if (NeedsMeta())
        AddFile(vm, "meta", fmt::format("instance-id: phoenix-{}\n", Sha256Hex(content)), dataset);
      AddFile(vm, wanted_.cloud_init, content, dataset);
      AddMachine(vm);
    }
  }

  void AddFile(const Vm& vm, std::string_view part, std::string content, Dataset& dataset) {
    DatasetFile file;
    file.path = "snippets/" + SnippetOf(vm, part);
    file.content = std::move(content);
    file.mode = 0640;
    file.origin = OfVmFile(vm.origin);
    for (const DatasetFile& other : dataset.files) {
      if (other.path != file.path) continue;
      findings_.Error("duplicate-path", other.origin, "vm_features delivers a file of this name",
                      Quoted(file.path), "another name");
      return;
    }
    dataset.files.push_back(std::move(file));
  }

  void AddMachine(const Vm& vm) {
    const auto volume = [&](std::string_view part) {
      return fmt::format("{}:snippets/{}", storage_, SnippetOf(vm, part));
    };
    config_.virtual_machines.push_back({vm.vmid, wanted_.cloud_init, storage_, volume(wanted_.cloud_init),
                                        NeedsMeta() ? volume("meta") : "", vm.absent, OfVmFile(vm.origin)});
  }

  // The snippet stays, as every file that is not listed any more; nothing names it then.
  void Remove(const Vm& vm) {
    for (const std::string& name : {ScriptsDatasetOf(vm), InboxDatasetOf(vm)}) {
      Dataset dataset = MakeDataset(name, OfVmFile(vm.origin));
      dataset.absent = true;
      NfsExport entry;
      entry.path = dataset.mountpoint;
      entry.absent = true;
      entry.origin = dataset.origin;
      config_.exports.push_back(std::move(entry));
      config_.datasets.push_back(std::move(dataset));
    }
    AddMachine(vm);
  }

  // What a VM mounts for itself is declared elsewhere; it may have been forgotten there.
  void LintVolumes(const Vm& vm) {
    if (vm.address.empty()) return;
    for (const VmVolume& volume : vm.volumes) {
      if (!volume.server.empty() && volume.server != wanted_.server &&
          volume.server != config_.server_address)
        continue;
      const bool reached =
          std::any_of(config_.exports.begin(), config_.exports.end(), [&](const NfsExport& entry) {
            return !entry.absent && IsAtOrBelow(volume.path, entry.path) &&
                   std::any_of(entry.clients.begin(), entry.clients.end(), [&](const std::string& client) {
                     return !IsAddressOrSubnet(client) || ClientsOverlap(client, vm.address);
                   });
          });
      if (!reached) {
        findings_.Lint("volume-not-exported", OfVmFile(volume.origin),
                       fmt::format("no declared export lets VM {} ({}) mount this", vm.vmid, vm.address),
                       Quoted(volume.path));
      }
    }
  }

  void CheckSizes() {
    const auto refuse = [&](const Origin& where, const std::string& what, std::size_t bytes,
                            std::size_t most) {
      findings_.Error("too-long", where, what + " too long to be delivered", fmt::format("{} bytes", bytes),
                      fmt::format("at most {} KiB", most / 1024));
    };
    std::size_t all = 0;
    for (const Dataset& dataset : config_.datasets) {
      const bool ours =
          IsAtOrBelow(dataset.full_name, wanted_.dataset) || dataset.full_name == snippets_dataset_;
      std::size_t together = 0;
      for (const DatasetFile& file : dataset.files) {
        together += file.content.size();
        if (ours && file.content.size() > kMostFileBytes)
          refuse(file.origin, fmt::format("the file {} is", file.path), file.content.size(), kMostFileBytes);
      }
      all += together;
      if (ours && together > kMostDatasetBytes)
        refuse(dataset.origin, fmt::format("the files of {} are together", dataset.full_name), together,
               kMostDatasetBytes);
    }
    if (all > kMostBytes) refuse(wanted_.origin, "the files of all datasets are together", all, kMostBytes);
  }

  template <typename Body>
  void Once(const std::string& what, const Body& body) {
    if (told_.insert(what).second) body();
  }

  const FeatureScripts& scripts_;
  const std::string& node_;
  Config& config_;
  const VmFeatures wanted_;
  Findings& findings_;
  std::string storage_, snippets_dataset_;
  std::set<std::string> told_;
};

}  // namespace

std::vector<std::string> WantedFiles(const VmFeatures& features, const std::vector<Vm>& vms) {
  std::set<std::string> names(features.common_files.begin(), features.common_files.end());
  for (const Vm& vm : vms) {
    for (const Text& feature : vm.features) {
      for (const std::string& name : ScriptNamesOf(feature.value)) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

void DeliverFeatures(const std::vector<Vm>& vms, const FeatureScripts& scripts, const std::string& node,
                     const std::vector<std::string>& nodes, Config& config, Findings& findings) {
  if (vms.empty()) return;
  if (!config.vm_features.has_value()) {
    // A node that serves none of them needs no features.
    const auto served = std::find_if(
        vms.begin(), vms.end(), [&](const Vm& vm) { return vm.node.empty() || SameNode(vm.node, node); });
    if (served == vms.end()) {
      CheckNodes(vms, nodes, findings);
      return;
    }
    findings.Error("missing", OfVmFile(served->origin),
                   fmt::format("{} serves this VM, and its configuration does not say where its features are",
                               node.empty() ? "the node" : "node " + node),
                   {}, "vm_features in the configuration, with dataset and scripts");
    return;
  }
  Delivery(scripts, node, config, findings).Add(vms, nodes);
}

void AddVms(std::string_view vms_text, const FeatureScripts& scripts, const std::string& node,
            const std::vector<std::string>& nodes, LoadResult& loaded) {
  if (!loaded.ok()) return;
  if (vms_text.empty()) {
    if (loaded.config.vm_features.has_value()) {
      loaded.findings.Lint("no-vms", loaded.config.vm_features->origin,
                           "no VMs are given (--vms FILE), so that nothing is delivered to any");
    }
    return;
  }
  VmResult vms = LoadVms(vms_text);
  for (auto* findings : {&vms.findings.errors, &vms.findings.lints}) {
    for (Finding& finding : *findings) finding.where = OfVmFile(finding.where);
  }
  const auto append = [](std::vector<Finding>& to, const std::vector<Finding>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(loaded.findings.errors, vms.findings.errors);
  append(loaded.findings.lints, vms.findings.lints);
  if (vms.ok()) DeliverFeatures(vms.vms, scripts, node, nodes, loaded.config, loaded.findings);
}

}  // namespace phoenix::config

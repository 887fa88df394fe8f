#include "services/proxmox/domain/vm_planner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "services/kit/plan/keys.h"
#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

constexpr uint32_t kLeastVmid = 100;
constexpr uint32_t kMostVmid = 999999999;

// qm takes the words as they are; a comma would begin another part.
bool IsSnippet(const std::string& volume, const std::string& storage) {
  const std::string_view prefix = ":snippets/";
  if (!IsStorageId(storage) || volume.rfind(storage + std::string(prefix), 0) != 0) return false;
  const std::string_view name = std::string_view(volume).substr(storage.size() + prefix.size());
  return !name.empty() && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

class Planner {
 public:
  Planner(const VmPlaces& places, const ProxmoxState& state, const std::set<uint32_t>& owned)
      : places_(places), state_(state), owned_(owned) {}

  VmPlan Make(const std::vector<VmSpec>& specs, bool partial) {
    std::set<uint32_t> declared;
    for (const VmSpec& spec : specs) {
      if (!Check(spec, declared)) continue;
      if (spec.absent) {
        Absent(spec);
      } else {
        Present(spec);
      }
    }
    if (!partial) {
      for (const uint32_t vmid : owned_) {
        if (declared.count(vmid) == 0 && places_.here.count(vmid) != 0) {
          Tell(vmid, true,
               "orphaned: Phoenix set its cloud-init data and no VM file names it any more; they stay. "
               "Declare "
               "it with \"state\": \"absent\" to take them away");
        }
      }
    }
    return std::move(plan_);
  }

 private:
  void Tell(uint32_t vmid, bool warning, std::string text) {
    plan_.notes.push_back({warning, VmKey(vmid), std::move(text)});
  }
  void Problem(const VmSpec& spec, std::string_view field, std::string text) {
    const std::string place =
        spec.origin.empty() ? fmt::format("virtual_machines[{}]", spec.vmid) : spec.origin;
    plan_.problems.push_back({fmt::format("{}.{}", place, field), std::move(text)});
  }

  static bool AreParts(const Cicustom& volumes) {
    const bool user = volumes.count("user") != 0, vendor = volumes.count("vendor") != 0;
    return user != vendor && volumes.size() == 1 + (vendor ? volumes.count(kMetaPart) : 0);
  }

  bool Check(const VmSpec& spec, std::set<uint32_t>& declared) {
    const size_t before = plan_.problems.size();
    if (spec.vmid < kLeastVmid || spec.vmid > kMostVmid)
      Problem(spec, "vmid", fmt::format("{} is no id of a VM", spec.vmid));
    if (!declared.insert(spec.vmid).second)
      Problem(spec, "vmid", fmt::format("VM {} is declared twice", spec.vmid));
    if (!AreParts(spec.volumes)) {
      Problem(spec, "cloud_init", fmt::format("'{}' is neither user nor vendor data", ToText(spec.volumes)));
    }
    for (const auto& [part, volume] : spec.volumes) {
      if (!IsSnippet(volume, spec.storage))
        Problem(spec, "volume", fmt::format("'{}' is no snippet of storage '{}'", volume, spec.storage));
    }
    return plan_.problems.size() == before;
  }

  // The VM, or nothing and a note why there is nothing to do here.
  const VmConfig* Find(const VmSpec& spec) {
    if (!places_.has_tool) {
      if (!spec.absent) {
        Tell(spec.vmid, true,
             fmt::format(
                 "does not take its cloud-init data: this node has no Proxmox VE (no /usr/sbin/qm). What "
                 "it is to mount is there all the same"));
      }
      return nullptr;
    }
    const auto here = places_.here.find(spec.vmid);
    if (here != places_.here.end()) return &here->second;
    if (spec.absent) return nullptr;
    const auto elsewhere = places_.elsewhere.find(spec.vmid);
    if (elsewhere != places_.elsewhere.end()) {
      Tell(spec.vmid, false,
           fmt::format(
               "is on node {}, and gets its cloud-init data there, unless the VM file has another node "
               "serve it; here its features are ready",
               elsewhere->second));
    } else {
      Tell(spec.vmid, false,
           "is not on this node; its features are ready, and it gets its cloud-init data by the first run "
           "after "
           "it is made");
    }
    return nullptr;
  }

  void Present(const VmSpec& spec) {
    const VmConfig* vm = Find(spec);
    if (vm == nullptr) return;
    if (!vm->has_cloud_init_drive) {
      Tell(spec.vmid, true,
           fmt::format("has no cloud-init drive, without which it gets no data: qm set {} --ide2 "
                       "STORAGE:cloudinit",
                       spec.vmid));
    }
    if (spec.volumes.count("user") != 0 && !vm->user_settings.empty()) {
      Tell(spec.vmid, true,
           fmt::format(
               "has {}, without effect beside user data of its own; with \"cloud_init\": \"vendor\" both "
               "hold",
               fmt::join(vm->user_settings, ", ")));
    }
    VmStep step{spec.vmid, {}, {}, spec.storage, true};
    for (const auto& [part, volume] : spec.volumes) {
      if (vm->PartOf(part) == volume) continue;
      step.before[part] = vm->PartOf(part);
      step.after[part] = volume;
    }
    TakeFormer(spec, *vm, step);
    if (step.after.empty() || !IsFree(spec, *vm)) return;
    if (step.after.count(kMetaPart) != 0 && spec.volumes.count(kMetaPart) != 0) {
      if (!vm->cloud_init_type.empty() && vm->cloud_init_type != "nocloud") {
        Problem(
            spec, "cloud_init",
            fmt::format("VM {} has citype {}, whose meta data are of another form: vendor data need nocloud",
                        spec.vmid, vm->cloud_init_type));
        return;
      }
      Tell(spec.vmid, true,
           "gets an instance id of its vendor data: its next start is a first one to cloud-init, host keys "
           "included");
    }
    plan_.steps.push_back(std::move(step));
  }

  static bool IsOurName(const VmSpec& spec, const std::string& volume) {
    return volume.find(fmt::format(":snippets/phoenix-{}-", spec.vmid)) != std::string::npos;
  }

  // What Phoenix set for the other kind of data: with both, neither would mean what it says.
  static void TakeFormer(const VmSpec& spec, const VmConfig& vm, VmStep& step) {
    for (const char* part : {"user", "vendor", kMetaPart}) {
      const std::string now = vm.PartOf(part);
      if (spec.volumes.count(part) != 0 || !IsOurName(spec, now)) continue;
      step.before[part] = now;
      step.after[part] = "";
    }
  }

  // A VM that came from another node names what Phoenix set there.
  bool IsOurs(const VmSpec& spec, const std::string& volume) const {
    return owned_.count(spec.vmid) != 0 || IsOurName(spec, volume);
  }

  void Absent(const VmSpec& spec) {
    const VmConfig* vm = Find(spec);
    if (vm == nullptr) return;
    VmStep step{spec.vmid, {}, {}, spec.storage, HasStorage(spec.storage)};
    for (const auto& [part, volume] : spec.volumes) {
      if (vm->PartOf(part) != volume) continue;
      if (!IsOurs(spec, volume)) {
        Problem(
            spec, "state",
            fmt::format("the cloud-init data of VM {} were not set by Phoenix, so Phoenix does not take them "
                        "away; do it yourself, or leave the VM out of the VM file",
                        spec.vmid));
        return;
      }
      step.before[part] = volume;
      step.after[part] = "";
    }
    TakeFormer(spec, *vm, step);
    if (!step.after.empty() && IsFree(spec, *vm)) plan_.steps.push_back(std::move(step));
  }

  bool HasStorage(const std::string& id) const {
    const auto entry = state_.config.entries.find(id);
    return entry != state_.config.entries.end() && IsMember(entry->second, state_.node);
  }

  bool IsFree(const VmSpec& spec, const VmConfig& vm) {
    if (vm.lock.empty()) return true;
    Problem(spec, "vmid",
            fmt::format("VM {} is locked ({}), so that nothing of it can be changed; plan again once that is "
                        "over (`qm config {}` shows it)",
                        spec.vmid, vm.lock, spec.vmid));
    return false;
  }

  const VmPlaces& places_;
  const ProxmoxState& state_;
  const std::set<uint32_t>& owned_;
  VmPlan plan_;
};

}  // namespace

VmAction VmStep::action() const {
  const bool takes =
      std::all_of(after.begin(), after.end(), [](const auto& one) { return one.second.empty(); });
  return takes ? VmAction::kTakeCloudInitAway : VmAction::kSetCloudInit;
}

std::string VmKey(uint32_t vmid) { return kit::Key("vm", std::to_string(vmid)); }

uint32_t VmidOf(std::string_view key) {
  if (kit::KindOf(key) != "vm") return 0;
  const std::string_view name = kit::NameOf(key);
  uint32_t vmid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), vmid);
  return error == std::errc() && end == name.data() + name.size() ? vmid : 0;
}

VmPlan PlanVms(const std::vector<VmSpec>& specs, const VmPlaces& places, const ProxmoxState& state,
               const std::set<uint32_t>& owned, bool partial) {
  return Planner(places, state, owned).Make(specs, partial);
}

}  // namespace phoenix::proxmox

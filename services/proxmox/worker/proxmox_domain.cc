#include "services/proxmox/worker/proxmox_domain.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/proxmox_command.h"
#include "services/proxmox/worker/container_payload.h"
#include "services/proxmox/worker/container_step.h"
#include "services/proxmox/worker/step_payload.h"

namespace phoenix::proxmox {
namespace {

std::string StepIdOf(const std::string& id) { return kit::Key("storage", id); }

PlanSurroundings SurroundingsOf(const kit::PlanInput& input, const ProxmoxSpec& spec) {
  PlanSurroundings surroundings{{}, input.disturbed_keys, input.removed_keys, spec.partial || input.local};
  for (const auto& [key, entry] : input.ledger) {
    if (kit::KindOf(key) != "storage") continue;
    surroundings.owned[std::string(kit::NameOf(key))] = {
        entry.created, entry.created && LedgerSaysEntryCreated(entry.fields)};
  }
  return surroundings;
}

Question QuestionOf(const ProxmoxSpec& spec) {
  Question question;
  for (const StorageSpec& storage : spec.storages) {
    if (storage.absent) {
      question.users.insert(storage.id);
      continue;
    }
    const Definition definition = WantedDefinition(storage);
    // Never a mount itself: one whose server is gone would hang.
    const std::string path =
        IsNetwork(definition) ? FolderOfMount(storage.id, definition) : PathOf(storage.id, definition);
    for (const std::string& folder : {path, MountPointOf(definition)}) {
      if (!folder.empty() && folder.front() == '/') question.folders.insert(folder);
    }
    if (definition.type == kDir) question.dirs[storage.id] = definition;
  }
  return question;
}

// What the plan stands on, without what moves by itself: not the digest, which changes with every rewrite.
std::string FingerprintText(const ProxmoxState& state) {
  std::string text =
      fmt::format("node {}\ncluster {}\ninstalled {}\n", state.node, state.cluster, state.installed);
  for (const auto& [id, entry] : state.config.entries) {
    if (!entry.implicit) text += CanonicalText(entry) + "\n";
  }
  return text;
}

// The storages as they are once the plan's steps on them are done.
std::map<std::string, ContainerStorage, std::less<>> StoragesFor(const ProxmoxSpec& spec,
                                                                 const ProxmoxState& state) {
  constexpr std::string_view kForContainers = "rootdir";
  std::map<std::string, ContainerStorage, std::less<>> storages;
  for (const auto& [id, entry] : state.config.entries) {
    if (entry.disabled || !IsMember(entry, state.node)) continue;
    const bool holds = entry.content.count(kForContainers) != 0;
    const auto pool = entry.options.find("pool");
    storages[id] = {entry.type, holds, holds, pool == entry.options.end() ? "" : pool->second};
  }
  for (const StorageSpec& storage : spec.storages) {
    if (storage.absent) {
      storages.erase(storage.id);
      continue;
    }
    ContainerStorage& wanted = storages[storage.id];
    if (wanted.type.empty()) {
      wanted.type = storage.type;
      const TypeRule* type = FindType(storage.type);
      wanted.holds_containers = type != nullptr && type->default_content.count(kForContainers) != 0;
    }
    if (storage.content.empty()) continue;
    wanted.holds_containers = storage.content.count(kForContainers) != 0;
    wanted.usable_now = wanted.usable_now && wanted.holds_containers;
  }
  return storages;
}

bool Requires(const StorageStep& step, const std::string& key) {
  return std::any_of(step.requires_keys.begin(), step.requires_keys.end(),
                     [&](const kit::Requirement& requirement) { return requirement.key == key; });
}

kit::Step Render(const StorageStep& typed, const ProxmoxState& state) {
  kit::Step step;
  step.id = StepIdOf(typed.id);
  step.resource = typed.id;
  step.diffs = typed.diffs;
  step.step_class = kit::StepClass::kConfig;
  step.scope = state.cluster.empty() ? "" : "cluster:" + state.cluster;
  step.requires_keys = typed.requires_keys;
  step.disturbs = typed.disturbs;
  step.payload = ToPayload(typed);
  const std::string key = kit::Key("storage", typed.id);
  switch (typed.action) {
    case StorageAction::kAdd: {
      step.provides = {key};
      // Where the members change it first, it is theirs to provide.
      if (!typed.definition_key.empty() && !Requires(typed, typed.definition_key))
        step.provides.push_back(typed.definition_key);
      if (typed.extends) {
        step.action = "add node to storage";
        step.undo = "take this node out of the entry again";
        step.commands = {fmt::format("pvesm set {} --nodes {}", typed.id, typed.diffs.front().after)};
      } else {
        step.action = "add storage";
        step.undo = "remove the entry and the empty folders that came with it";
        step.commands = {ToText(AddCommand({typed.id,
                                            typed.definition.type,
                                            typed.definition.content,
                                            {typed.node},
                                            typed.definition.options,
                                            false}))};
        if (!typed.password_secret.empty()) {
          // As a person would: pvesm then asks. The step itself hands it to the node's API.
          step.commands.front() += " --password";
          step.secrets = {typed.password_secret};
        }
      }
      if (IsNetwork(typed.definition)) {
        step.step_class = kit::StepClass::kLossy;
        step.remainder =
            "the server may keep empty folders (dump, images …) that Proxmox VE makes on its share";
        if (!typed.password_secret.empty())
          step.remainder += fmt::format("; the empty folder {}, where there was none", kPasswordFolder);
      }
      break;
    }
    case StorageAction::kSet:
      step.action = "change storage";
      step.undo = "put the former values back";
      step.commands = {ToText(
          SetCommand({typed.id, typed.definition.content, std::nullopt, typed.definition.options, {}, ""}))};
      step.provides = {key};
      if (!typed.definition_key.empty()) step.provides.push_back(typed.definition_key);
      break;
    case StorageAction::kRemove:
      step.removes = {key};
      if (typed.extends) {
        step.action = "take node out of storage";
        step.undo = "add this node to the entry again";
        step.commands = {fmt::format("pvesm set {} --nodes {}", typed.id, typed.diffs.front().after)};
      } else {
        step.action = "remove storage";
        step.undo = fmt::format(
            "add the entry again with all its values; its data stays in place. Permissions on /storage/{} "
            "and its places in "
            "resource pools go with it and are not put back",
            typed.id);
        step.commands = {ToText(RemoveCommand(typed.id))};
      }
      // Of several nodes that leave in one run, the last one removes the entry.
      if (const auto user = typed.definition.options.find("username");
          user != typed.definition.options.end()) {
        step.step_class = kit::StepClass::kLossy;
        step.remainder = fmt::format(
            "where no node keeps the entry its password is gone, and it comes back switched off: `pvesm set "
            "{} "
            "--username {} --password` asks for it, then `pvesm set {} --disable 0`",
            typed.id, user->second, typed.id);
      }
      break;
  }
  return step;
}

}  // namespace

ProxmoxDomain::ProxmoxDomain(ProxmoxHost& host, SpecParser parse)
    : host_(host), parse_(std::move(parse)), changes_(host), vm_changes_(host.vms()), containers_(host) {}

kit::DomainDescription ProxmoxDomain::Describe() { return {"proxmox", {kSpecType}, host_.Versions()}; }

absl::StatusOr<std::vector<kit::ObservedField>> ProxmoxDomain::Observe(const std::vector<std::string>& keys) {
  PHX_ASSIGN_OR_RETURN(const ProxmoxState state, host_.Observe({}));
  std::vector<kit::ObservedField> fields;
  for (const auto& [id, entry] : state.config.entries) {
    const std::string key = kit::Key("storage", id);
    if (!keys.empty() && std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    const std::string source = entry.implicit ? "default" : kStorageConfigPath;
    fields.push_back({key, "type", entry.type, source});
    fields.push_back({key, "content", Join(entry.content), source});
    fields.push_back({key, "nodes", Join(entry.nodes), source});
    if (entry.disabled) fields.push_back({key, "disable", "1", source});
    for (const auto& [name, value] : entry.options) fields.push_back({key, name, value, source});
  }
  return fields;
}

absl::StatusOr<kit::Plan> ProxmoxDomain::MakePlan(const kit::PlanInput& input) {
  PHX_ASSIGN_OR_RETURN(ProxmoxSpec spec, parse_(input.spec_type, input.spec));
  PlanSurroundings surroundings = SurroundingsOf(input, spec);
  AddOrphans(spec, surroundings.owned);
  auto observed = host_.Observe(QuestionOf(spec));
  if (!observed.ok()) {
    // Nothing is wanted of this node: what cannot be read does not matter.
    if (!spec.storages.empty() || !spec.vms.empty() || !spec.containers.empty()) return observed.status();
    kit::Plan plan;
    plan.notes.push_back({true, "file:/etc/pve", Message(observed.status())});
    plan.base_fingerprint = Sha256Hex("unreadable");
    return plan;
  }
  const ProxmoxState& state = *observed;
  PHX_ASSIGN_OR_RETURN(surroundings.passwords, PasswordsOf(spec, input.secrets));
  // A token that is there and cannot be used is not called a missing one.
  if (!state.has_api_token && std::any_of(spec.storages.begin(), spec.storages.end(),
                                          [](const StorageSpec& s) { return !s.password_secret.empty(); })) {
    PHX_RETURN_IF_ERROR(host_.CanChange());
  }
  PHX_ASSIGN_OR_RETURN(StoragePlan planned, PlanStorages(spec, state, surroundings));
  if (!planned.steps.empty()) PHX_RETURN_IF_ERROR(host_.CanChange());
  kit::Plan plan;
  for (const StorageStep& step : planned.steps) plan.steps.push_back(Render(step, state));
  plan.notes = std::move(planned.notes);
  std::string fingerprint = FingerprintText(state);
  PHX_RETURN_IF_ERROR(PlanContainers(spec, state, input.removed_keys, plan, fingerprint));
  plan.base_fingerprint = Sha256Hex(fingerprint);
  for (const auto& [id, entry] : state.config.entries) {
    if (!entry.disabled && IsMember(entry, state.node)) plan.provided_now.push_back(kit::Key("storage", id));
  }
  plan.provided_now.insert(plan.provided_now.end(), planned.provided_now.begin(), planned.provided_now.end());
  PHX_RETURN_IF_ERROR(PlanVmsInto(spec, state, input, plan));
  return plan;
}

absl::StatusOr<std::map<std::string, PasswordState, std::less<>>> ProxmoxDomain::PasswordsOf(
    const ProxmoxSpec& spec, const Secrets& secrets) {
  std::map<std::string, PasswordState, std::less<>> passwords;
  for (const StorageSpec& storage : spec.storages) {
    const auto wanted = secrets.find(storage.password_secret);
    if (storage.absent || storage.password_secret.empty() || wanted == secrets.end()) continue;
    PHX_ASSIGN_OR_RETURN(auto file, host_.files().Read(PasswordPath(storage.id)));
    PasswordState& state = passwords[storage.id];
    state = PasswordState::kMissing;
    if (!file) continue;
    const Secret found(std::move(file->content));
    const Secret line("password=" + wanted->second.Reveal() + "\n");
    state = found.Reveal() == line.Reveal() ? PasswordState::kSame : PasswordState::kOther;
  }
  return passwords;
}

absl::Status ProxmoxDomain::PlanVmsInto(const ProxmoxSpec& spec, const ProxmoxState& state,
                                        const kit::PlanInput& input, kit::Plan& plan) {
  std::set<uint32_t> owned, asked;
  for (const auto& [key, entry] : input.ledger) {
    if (const uint32_t vmid = VmidOf(key); vmid != 0 && entry.created) owned.insert(vmid);
  }
  asked = owned;
  for (const VmSpec& vm : spec.vms) asked.insert(vm.vmid);
  if (asked.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const VmPlaces places, host_.vms().Read(asked));
  VmPlan planned = PlanVms(spec.vms, places, state, owned, spec.partial || input.local);
  if (!planned.problems.empty()) {
    const size_t more = planned.problems.size() - 1;
    return WithViolations(
        FailedPrecondition("{}: {}{}", planned.problems.front().field, planned.problems.front().description,
                           more == 0 ? "" : fmt::format(" (and {} more)", more)),
        planned.problems);
  }
  if (!planned.steps.empty() && !state.quorate) {
    return WithReason(
        FailedPrecondition("cluster {} has no quorum: /etc/pve is read-only, so VMs cannot change; "
                           "bring the other nodes back (`pvecm status` names them) and plan again",
                           state.cluster),
        {kNoQuorum, {{"cluster", state.cluster}}});
  }
  for (const VmStep& step : planned.steps) plan.steps.push_back(phoenix::proxmox::Render(step));
  plan.notes.insert(plan.notes.end(), planned.notes.begin(), planned.notes.end());
  std::string seen = plan.base_fingerprint;
  for (const auto& [vmid, vm] : places.here) seen += fmt::format("\nvm {} {}", vmid, ToText(vm.cicustom));
  plan.base_fingerprint = Sha256Hex(seen);
  return absl::OkStatus();
}

absl::Status ProxmoxDomain::PlanContainers(const ProxmoxSpec& spec, const ProxmoxState& state,
                                           const std::vector<std::string>& removed_keys, kit::Plan& plan,
                                           std::string& fingerprint) {
  if (spec.containers.empty()) return absl::OkStatus();
  ContainersState containers;
  containers.node = state.node;
  containers.cluster = state.cluster;
  containers.quorate = state.quorate;
  containers.removed_keys = removed_keys;
  containers.storages = StoragesFor(spec, state);
  if (state.installed) {
    std::set<uint32_t> ids;
    for (const ContainerSpec& container : spec.containers) ids.insert(container.id);
    PHX_ASSIGN_OR_RETURN(ContainerPlaces places, host_.containers().Read(ids));
    containers.here = std::move(places.here);
    containers.running = std::move(places.running);
    containers.elsewhere = std::move(places.elsewhere);
  }
  PHX_RETURN_IF_ERROR(LookAtDirectories(spec.containers, host_.files(), containers));
  PHX_ASSIGN_OR_RETURN(ContainerPlan planned, proxmox::PlanContainers(spec.containers, containers));
  for (const ContainerStep& step : planned.steps) {
    plan.steps.push_back(Render(step));
    if (step.action != ContainerAction::kGrow || !step.running) continue;
    const auto held = host_.containers().Referenced(step.dataset);
    if (!held.ok()) continue;  // what is wrong with it, capturing the step will say
    planned.notes.push_back(
        {false, fmt::format("container:{}", step.id),
         fmt::format("volume {} holds {} bytes of its {} now; undo can give it that size back while it holds "
                     "no more",
                     step.volume, *held, SizeText(step.size_before))});
  }
  plan.notes.insert(plan.notes.end(), planned.notes.begin(), planned.notes.end());
  for (const auto& [id, config] : containers.here) {
    plan.provided_now.push_back(kit::Key("container", fmt::to_string(id)));
    fingerprint += fmt::format("container {} {}\n", id, containers.running.count(id));
    for (const auto& [number, mount] : config.mounts)
      fingerprint += fmt::format("mp{} {} {} {}\n", number, mount.source, mount.path, mount.size.value_or(0));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ProxmoxDomain::Capture(const kit::Step& step, const std::string& /*run_id*/) {
  if (VmidOf(step.id) != 0) {
    PHX_ASSIGN_OR_RETURN(const VmStep vm, VmFromPayload(step.payload));
    const absl::MutexLock lock(&change_mutex_);
    return vm_changes_.Capture(vm);
  }
  if (IsContainerStep(step)) {
    PHX_ASSIGN_OR_RETURN(const ContainerStep container, ContainerStepOf(step.payload));
    const absl::MutexLock lock(&change_mutex_);
    PHX_ASSIGN_OR_RETURN(const CapturedContainer captured, containers_.Capture(container));
    return ToJson(captured);
  }
  PHX_ASSIGN_OR_RETURN(const StorageStep typed, FromPayload(step.payload));
  const absl::MutexLock lock(&change_mutex_);
  PHX_ASSIGN_OR_RETURN(const Captured captured, changes_.Capture(typed));
  return ToJson(captured);
}

bool ProxmoxDomain::MayBeAnotherNodes(const kit::Step& step, const std::string& before,
                                      const std::string& now) {
  if (VmidOf(step.id) != 0 || IsContainerStep(step)) return true;
  const auto was = ParseCaptured(before), is = ParseCaptured(now);
  // A node joins an entry by itself.
  return was.ok() && is.ok() && was->member == is->member;
}

absl::Status ProxmoxDomain::Do(const kit::Step& step, const kit::StepContext& context) {
  if (VmidOf(step.id) != 0) {
    PHX_ASSIGN_OR_RETURN(const VmStep vm, VmFromPayload(step.payload));
    const absl::MutexLock lock(&change_mutex_);
    return vm_changes_.Do(vm, context.captured, context.on_child);
  }
  if (IsContainerStep(step)) {
    PHX_ASSIGN_OR_RETURN(const ContainerStep container, ContainerStepOf(step.payload));
    PHX_ASSIGN_OR_RETURN(const CapturedContainer before, ParseCapturedContainer(context.captured));
    std::vector<std::string> said;
    absl::Status status;
    {
      const absl::MutexLock lock(&change_mutex_);
      status = containers_.Do(container, before, context.on_child, said);
    }
    Remember(context.run_id, step.id, "pct", said);
    return status;
  }
  PHX_ASSIGN_OR_RETURN(const StorageStep typed, FromPayload(step.payload));
  PHX_ASSIGN_OR_RETURN(const Captured before, ParseCaptured(context.captured));
  Secret password;
  if (!typed.password_secret.empty()) {
    static const Secrets kNone;
    const Secrets& secrets = context.secrets == nullptr ? kNone : *context.secrets;
    const auto found = secrets.find(typed.password_secret);
    if (found == secrets.end()) {
      return FailedPrecondition("the secret '{}' is not in this daemon's memory (it restarted?)",
                                typed.password_secret);
    }
    password = found->second;
  }
  std::vector<std::string> warnings;
  absl::Status status;
  {
    const absl::MutexLock lock(&change_mutex_);
    status = changes_.Do(typed, before, password, context.on_child, warnings);
  }
  Remember(context.run_id, step.id, "pvesm", warnings);
  return status;
}

absl::StatusOr<kit::ProbeResult> ProxmoxDomain::ProbeStep(const kit::Step& step,
                                                          const kit::StepContext& context) {
  if (VmidOf(step.id) != 0) {
    PHX_ASSIGN_OR_RETURN(const VmStep vm, VmFromPayload(step.payload));
    const absl::MutexLock lock(&change_mutex_);
    return vm_changes_.Probe(vm, context.captured);
  }
  if (IsContainerStep(step)) {
    PHX_ASSIGN_OR_RETURN(const ContainerStep container, ContainerStepOf(step.payload));
    PHX_ASSIGN_OR_RETURN(const CapturedContainer before, ParseCapturedContainer(context.captured));
    const absl::MutexLock lock(&change_mutex_);
    return containers_.Probe(container, before, context.undoing);
  }
  PHX_ASSIGN_OR_RETURN(const StorageStep typed, FromPayload(step.payload));
  PHX_ASSIGN_OR_RETURN(const Captured before, ParseCaptured(context.captured));
  const absl::MutexLock lock(&change_mutex_);
  return changes_.Probe(typed, before);
}

absl::Status ProxmoxDomain::Undo(const kit::Step& step, const kit::StepContext& context) {
  if (VmidOf(step.id) != 0) {
    PHX_ASSIGN_OR_RETURN(const VmStep vm, VmFromPayload(step.payload));
    const absl::MutexLock lock(&change_mutex_);
    return vm_changes_.Undo(vm, context.captured, context.on_child);
  }
  if (IsContainerStep(step)) {
    PHX_ASSIGN_OR_RETURN(const ContainerStep container, ContainerStepOf(step.payload));
    PHX_ASSIGN_OR_RETURN(const CapturedContainer before, ParseCapturedContainer(context.captured));
    const absl::MutexLock lock(&change_mutex_);
    return containers_.Undo(container, before, context.on_child);
  }
  PHX_ASSIGN_OR_RETURN(const StorageStep typed, FromPayload(step.payload));
  PHX_ASSIGN_OR_RETURN(const Captured before, ParseCaptured(context.captured));
  const absl::MutexLock lock(&change_mutex_);
  return changes_.Undo(typed, before, context.on_child);
}

std::vector<std::string> ProxmoxDomain::RemainingCommands(const kit::Step& step,
                                                          const kit::StepContext& context) {
  if (VmidOf(step.id) != 0) {
    const auto vm = VmFromPayload(step.payload);
    if (!vm.ok()) return {};
    const absl::MutexLock lock(&change_mutex_);
    return vm_changes_.RemainingCommands(*vm, context.captured);
  }
  if (IsContainerStep(step)) {
    const auto container = ContainerStepOf(step.payload);
    const auto captured = ParseCapturedContainer(context.captured);
    if (!container.ok() || !captured.ok()) return {};
    const absl::MutexLock lock(&change_mutex_);
    return containers_.RemainingCommands(*container, *captured);
  }
  const auto typed = FromPayload(step.payload);
  const auto before = ParseCaptured(context.captured);
  if (!typed.ok() || !before.ok()) return {};
  const absl::MutexLock lock(&change_mutex_);
  return changes_.RemainingCommands(*typed, *before);
}

absl::StatusOr<kit::LedgerChange> ProxmoxDomain::LedgerOf(const kit::Step& step,
                                                          const kit::StepContext& /*context*/) {
  if (VmidOf(step.id) != 0) {
    PHX_ASSIGN_OR_RETURN(const VmStep vm, VmFromPayload(step.payload));
    if (vm.action() == VmAction::kTakeCloudInitAway) return kit::LedgerChange{{}, {step.id}};
    return kit::LedgerChange{{{.key = step.id, .created = true, .fields = LedgerFields(vm)}}, {}};
  }
  // A container's volumes never go by Phoenix, so that nobody asks whose they are.
  if (IsContainerStep(step)) return kit::LedgerChange();
  PHX_ASSIGN_OR_RETURN(const StorageStep typed, FromPayload(step.payload));
  const std::string key = kit::Key("storage", typed.id);
  if (typed.action == StorageAction::kRemove) return kit::LedgerChange{{}, {key}};
  kit::LedgerEntry entry;
  entry.key = key;
  entry.created = typed.joined;
  entry.fields = LedgerFields(typed);
  return kit::LedgerChange{{std::move(entry)}, {}};
}

absl::StatusOr<kit::Retrospect> ProxmoxDomain::LookBack(const kit::Step& step,
                                                        const kit::StepContext& context) {
  if (!IsContainerStep(step)) return kit::Retrospect();
  PHX_ASSIGN_OR_RETURN(const ContainerStep container, ContainerStepOf(step.payload));
  PHX_ASSIGN_OR_RETURN(const CapturedContainer before, ParseCapturedContainer(context.captured));
  const absl::MutexLock lock(&change_mutex_);
  return containers_.LookBack(container, before);
}

void ProxmoxDomain::Remember(const std::string& run_id, const std::string& step, std::string_view tool,
                             const std::vector<std::string>& warnings) {
  if (warnings.empty()) return;
  const absl::MutexLock lock(&warnings_mutex_);
  auto& lines = warnings_[run_id];
  for (const std::string& warning : warnings)
    lines.push_back(fmt::format("{}: {} said: {}", step, tool, warning));
}

absl::Status ProxmoxDomain::VerifyVms(const std::vector<kit::Step>& applied, kit::VerifyReport& report) {
  std::vector<VmStep> steps;
  std::set<uint32_t> vmids;
  for (const kit::Step& step : applied) {
    if (VmidOf(step.id) == 0) continue;
    PHX_ASSIGN_OR_RETURN(VmStep vm, VmFromPayload(step.payload));
    vmids.insert(vm.vmid);
    steps.push_back(std::move(vm));
  }
  if (steps.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const VmPlaces places, host_.vms().Read(vmids));
  PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
  for (const VmStep& step : steps) {
    const auto vm = places.here.find(step.vmid);
    if (vm == places.here.end() || vm->second.PartsIn(step.after) != step.after)
      return FailedPrecondition("VM {} does not have its cloud-init data any more", step.vmid);
    if (step.action() == VmAction::kTakeCloudInitAway) continue;
    const auto entry = config.entries.find(step.storage);
    if (entry == config.entries.end()) {
      return FailedPrecondition("VM {} is to take {}, and there is no such storage: it could not start",
                                step.vmid, ToText(step.after));
    }
    const auto path = entry->second.options.find("path");
    if (path == entry->second.options.end() || entry->second.options.count("content-dirs") != 0) {
      report.not_probed.push_back(
          fmt::format("{}: where its storage has snippets is not known", VmKey(step.vmid)));
      continue;
    }
    for (const auto& [part, volume] : step.after) {
      const std::string file = path->second + volume.substr(volume.find(':')).replace(0, 1, "/");
      PHX_ASSIGN_OR_RETURN(const auto snippet, host_.files().Read(file));
      if (!snippet) {
        return FailedPrecondition("VM {} is to take {}, and there is no {}: it could not start", step.vmid,
                                  volume, file);
      }
      report.probes.push_back(fmt::format("{}: takes {}, which is there", VmKey(step.vmid), volume));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<kit::VerifyReport> ProxmoxDomain::Verify(const kit::VerifyInput& input) {
  kit::VerifyReport report;
  {
    const absl::MutexLock lock(&warnings_mutex_);
    for (const auto& [run, lines] : warnings_)
      report.probes.insert(report.probes.end(), lines.begin(), lines.end());
  }
  PHX_RETURN_IF_ERROR(VerifyVms(input.applied, report));
  std::vector<StorageStep> kept;
  for (const kit::Step& step : input.applied) {
    if (VmidOf(step.id) != 0) continue;
    if (IsContainerStep(step)) {
      PHX_ASSIGN_OR_RETURN(const ContainerStep container, ContainerStepOf(step.payload));
      const absl::MutexLock lock(&change_mutex_);
      PHX_RETURN_IF_ERROR(containers_.Verify(container, report));
      continue;
    }
    PHX_ASSIGN_OR_RETURN(StorageStep typed, FromPayload(step.payload));
    if (typed.action != StorageAction::kRemove) kept.push_back(std::move(typed));
  }
  PHX_RETURN_IF_ERROR(VerifyStorages(kept, report));
  return report;
}

absl::Status ProxmoxDomain::VerifyStorages(const std::vector<StorageStep>& kept, kit::VerifyReport& report) {
  if (kept.empty()) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
  // One call for all: each costs seconds.
  PHX_ASSIGN_OR_RETURN(const StatusReport status, host_.Status());
  const std::string said =
      status.warnings.empty() ? "" : fmt::format(" (pvesm said: {})", status.warnings.front());
  for (const StorageStep& step : kept) {
    const auto entry = config.entries.find(step.id);
    if (entry == config.entries.end() || !IsMember(entry->second, step.node) ||
        !Compare(entry->second, step.definition).empty()) {
      return FailedPrecondition("storage '{}' is not in {} as declared any more", step.id,
                                kStorageConfigPath);
    }
    if (entry->second.disabled) {
      report.not_probed.push_back(
          fmt::format("storage:{}: switched off by somebody else, so its state is unknown", step.id));
      continue;
    }
    const auto found = status.storages.find(step.id);
    const std::string state = found == status.storages.end() ? "not listed" : found->second.state;
    if (state != "active") {
      std::string why = said;
      for (const auto& warning : status.warnings) {
        if (warning.find("'" + step.id + "'") != std::string::npos)
          why = fmt::format(" (pvesm said: {})", warning);
      }
      return FailedPrecondition("storage '{}' is {} instead of active{}", step.id, state, why);
    }
    report.probes.push_back(fmt::format("storage:{}: active", step.id));
  }
  return absl::OkStatus();
}

absl::Status ProxmoxDomain::Close(const std::string& run_id, bool /*committed*/) {
  const absl::MutexLock lock(&warnings_mutex_);
  warnings_.erase(run_id);
  return absl::OkStatus();
}

}  // namespace phoenix::proxmox

#include "services/zfs/worker/zfs_domain.h"

#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/zfs/domain/zfs_checkpoint.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"
#include "services/zfs/host/zfs_command.h"
#include "services/zfs/worker/zfs_checkpoint_work.h"
#include "services/zfs/worker/zfs_step_json.h"
#include "services/zfs/worker/zfs_work.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

// In plans, where no run has been given yet.
constexpr char kAnyRun[] = "RUN";

kit::StepClass ClassOf(Reversal reversal) {
  switch (reversal) {
    case Reversal::kExact:
      return kit::StepClass::kExact;
    case Reversal::kConfig:
      return kit::StepClass::kConfig;
    case Reversal::kLossy:
      return kit::StepClass::kLossy;
    case Reversal::kPointOfNoReturn:
      break;
  }
  return kit::StepClass::kPointOfNoReturn;
}

// So long may each tool take for an overview.
constexpr uint32_t kConditionsSeconds = 3;

kit::Condition::Severity SeverityOf(HealthLine::Urgency urgency) {
  switch (urgency) {
    case HealthLine::Urgency::kNone:
      return kit::Condition::Severity::kOk;
    case HealthLine::Urgency::kOverview:
      return kit::Condition::Severity::kInfo;
    case HealthLine::Urgency::kLookAt:
      return kit::Condition::Severity::kWarning;
    case HealthLine::Urgency::kAct:
      break;
  }
  return kit::Condition::Severity::kCritical;
}

// What a person would type for owner, group and mode by name; the numbers are known only when the step runs.
std::vector<std::string> RootCommands(const RootWish& root, const std::string& mountpoint) {
  std::vector<std::string> commands;
  if (!root.owner.empty() || !root.group.empty()) {
    commands.push_back(
        fmt::format("chown {}{}{} {}", root.owner, root.group.empty() ? "" : ":", root.group, mountpoint));
  }
  const std::string chmod = fmt::format("chmod {} {}", root.mode, mountpoint);
  if (!root.mode.empty()) commands.push_back(chmod);
  if (!root.acl) return commands;
  commands.push_back(SetAclText(*root.acl, mountpoint));
  // setfacl takes from the mode what is not said, and makes the mask, its group digit, as wide as the
  // entries.
  if (!root.acl->empty()) commands.push_back(chmod);
  return commands;
}

std::vector<std::string> ContentCommands(const ChangeContentStep& step) {
  std::vector<std::string> commands;
  if (step.tree) {
    for (auto& text : RootCommands(*step.tree, step.mountpoint))
      commands.push_back(text.insert(text.find(' '), " -R"));
  }
  for (const FileSpec& file : step.files) {
    commands.push_back(fmt::format("install -D -o {} -g {} -m {} NEW {}", file.owner, file.group, file.mode,
                                   ShellWord(fmt::format("{}/{}", step.mountpoint, file.path))));
  }
  for (auto& text : ToText(MountDataset{step.name})) commands.push_back(std::move(text));
  return commands;
}

std::vector<std::string> CommandTexts(const ZfsStep& step) {
  std::vector<std::string> texts;
  const auto add = [&](const std::vector<std::string>& more) {
    texts.insert(texts.end(), more.begin(), more.end());
  };
  std::visit(
      [&](const auto& one) {
        for (const auto& change : ChangesOf(one, kAnyRun)) add(ToText(change));
      },
      step);
  if (const auto* pool = std::get_if<CreatePoolStep>(&step)) add(RootCommands(pool->root, pool->mountpoint));
  if (const auto* dataset = std::get_if<CreateDatasetStep>(&step))
    add(RootCommands(dataset->root, dataset->mountpoint));
  if (const auto* discard = std::get_if<DiscardKeptStep>(&step))
    add(ToText(DestroyDataset{AsideName(TrashOf(discard->name, kAnyRun), discard->name)}));
  if (const auto* content = std::get_if<ChangeContentStep>(&step)) add(ContentCommands(*content));
  if (const auto* root = std::get_if<SetMountRootStep>(&step))
    add(RootCommands(root->root, root->mountpoint));
  return texts;
}

// A person is asked for the key.
std::string AsTyped(std::string text) {
  constexpr std::string_view kGiven = " < (secret)";
  if (text.ends_with(kGiven)) text.resize(text.size() - kGiven.size());
  return text;
}

// The name of the secret that doing the step needs, where it needs one.
std::vector<std::string> SecretsOf(const ZfsStep& step) {
  const KeyWish* key = nullptr;
  if (const auto* pool = std::get_if<CreatePoolStep>(&step)) key = pool->key ? &*pool->key : nullptr;
  if (const auto* dataset = std::get_if<CreateDatasetStep>(&step))
    key = dataset->key ? &*dataset->key : nullptr;
  if (const auto* load = std::get_if<LoadKeyStep>(&step)) key = &load->key;
  return key == nullptr ? std::vector<std::string>() : std::vector<std::string>{key->encryption.secret};
}

kit::Step Render(const PlannedStep& planned) {
  kit::Step step{.id = planned.id, .resource = planned.resource, .action = planned.action};
  for (const auto& one : planned.differences) step.diffs.push_back({one.field, one.before, one.after});
  step.step_class = ClassOf(planned.reversal);
  step.undo = planned.undo;
  step.remainder = planned.remainder;
  step.commands = CommandTexts(planned.step);
  for (const auto& need : planned.needs) step.requires_keys.push_back({need.key, need.satisfied_now});
  step.provides = planned.provides;
  step.removes = planned.removes;
  step.disturbs = planned.disturbs;
  step.payload = ToJson(planned.step);
  step.secrets = SecretsOf(planned.step);
  return step;
}

Ownership OwnershipOf(const kit::Ledger& ledger, const std::string& record_directory) {
  Ownership owned{.blank = ledger.empty(), .record_directory = record_directory};
  for (const auto& [key, entry] : ledger) {
    if (entry.created) owned.created.emplace(key, entry.identity);
    if (kit::KindOf(key) == "delivery") {
      const std::string name(kit::NameOf(key));
      const size_t end = name.find("//");
      if (end == std::string::npos) continue;
      owned.deliveries.push_back({name.substr(0, end), entry.identity, name.substr(end + 2)});
    }
    if (kit::KindOf(key) != "tree") continue;
    const json fields = json::parse(entry.fields, nullptr, /*allow_exceptions=*/false);
    if (!fields.is_object() || !fields.contains("given") || !fields["given"].is_string()) continue;
    owned.trees[std::string(kit::NameOf(key))] =
        fmt::format("{} {}", entry.identity, fields["given"].get<std::string>());
  }
  return owned;
}

// Reads a journaled step and what was captured for it.
struct Opened {
  ZfsStep step;
  Work work;
};
absl::StatusOr<Opened> Open(ZfsHost& host, absl::Mutex& containers, const kit::Step& step,
                            const std::string& run_id, const std::string& captured, ChildObserver on_child,
                            const Secrets* secrets = nullptr, Secret node_key = {}, bool undoing = false) {
  PHX_ASSIGN_OR_RETURN(ZfsStep typed, StepFromJson(step.payload));
  json value = captured.empty() ? json::object() : json::parse(captured, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return DataLoss("what was captured for {} cannot be read", step.id);
  return Opened{std::move(typed), Work{host, containers, run_id, std::move(value), std::move(on_child),
                                       secrets, std::move(node_key), undoing}};
}

absl::StatusOr<Touching> TouchingOf(const std::vector<kit::Step>& steps,
                                    const std::vector<std::string>& disturbed_keys) {
  Touching touching{.steps = {}, .written = kit::WrittenPaths(disturbed_keys)};
  for (const kit::Step& step : steps) {
    PHX_ASSIGN_OR_RETURN(ZfsStep typed, StepFromJson(step.payload));
    touching.steps.push_back(std::move(typed));
  }
  return touching;
}

// Journaled JSON is ours, but damage must not end the daemon.
template <class Body>
auto Guarded(const kit::Step& step, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const json::exception& error) {
    return DataLoss("what was captured for {} cannot be read: {}", step.id, error.what());
  }
}

}  // namespace

kit::DomainDescription ZfsDomain::Describe() { return {"zfs", {std::string(kSpecType)}, host_.Versions()}; }

absl::StatusOr<std::vector<kit::Condition>> ZfsDomain::Conditions() {
  ObserveRequest request{.pools = true, .links = true};
  request.health = {"*"};
  request.limit_seconds = kConditionsSeconds;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, host_.Observe(request));
  std::vector<kit::Condition> conditions;
  for (const HealthLine& line : HealthLines(seen))
    conditions.push_back({SeverityOf(line.urgency), line.object, line.text});
  return conditions;
}

absl::StatusOr<kit::Plan> ZfsDomain::MakePlan(const kit::PlanInput& input) {
  PHX_ASSIGN_OR_RETURN(ZfsSpec spec, parser_(input.spec_type, input.spec));
  spec.partial = spec.partial || input.local;
  Touching touching{.steps = {}, .written = kit::WrittenPaths(input.disturbed_keys)};
  ObserveRequest first_look = FirstLook(spec);
  first_look.mount_points = !touching.written.empty();
  PHX_ASSIGN_OR_RETURN(ZfsState seen, host_.Observe(first_look));
  ObserveRequest second_look = SecondLook(spec, seen);
  second_look.keys = KeysToTry(spec, seen, input.secrets);
  PHX_ASSIGN_OR_RETURN(ZfsState more, host_.Observe(second_look));
  seen.paths = std::move(more.paths);
  seen.health = std::move(more.health);
  seen.keys_fit = std::move(more.keys_fit);
  PHX_ASSIGN_OR_RETURN(const ZfsPlan made,
                       phoenix::zfs::MakePlan(spec, seen, OwnershipOf(input.ledger, record_directory_),
                                              GivenKeysOf(spec, input.secrets, input.node_key)));
  kit::Plan plan;
  for (const auto& step : made.steps) {
    plan.steps.push_back(Render(step));
    touching.steps.push_back(step.step);
  }
  // A typed change takes no snapshot.
  if (!input.local) plan.checkpoints = DatasetsToCheckpoint(touching, seen);
  for (const auto& note : made.notes) plan.notes.push_back({note.warning, note.resource, note.text});
  plan.base_fingerprint = Sha256Hex(made.fingerprint_text);
  plan.provided_now = made.provided_now;
  return plan;
}

absl::StatusOr<std::string> ZfsDomain::Capture(const kit::Step& step, const std::string& run_id) {
  PHX_ASSIGN_OR_RETURN(const Opened opened, Open(host_, asides_, step, run_id, "", nullptr));
  PHX_ASSIGN_OR_RETURN(
      const json captured,
      std::visit([&](const auto& typed) { return phoenix::zfs::Capture(opened.work, typed); }, opened.step));
  return captured.dump();
}

absl::Status ZfsDomain::Do(const kit::Step& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const Opened opened, Open(host_, asides_, step, context.run_id, context.captured,
                                                 context.on_child, context.secrets, context.node_key));
  return Guarded(step, [&]() -> absl::Status {
    return std::visit([&](const auto& typed) { return phoenix::zfs::Do(opened.work, typed); }, opened.step);
  });
}

absl::StatusOr<kit::ProbeResult> ZfsDomain::ProbeStep(const kit::Step& step,
                                                      const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const Opened opened,
                       Open(host_, asides_, step, context.run_id, context.captured, context.on_child,
                            /*secrets=*/nullptr, /*node_key=*/{}, context.undoing));
  return Guarded(step, [&]() -> absl::StatusOr<kit::ProbeResult> {
    return std::visit([&](const auto& typed) { return phoenix::zfs::Probe(opened.work, typed); },
                      opened.step);
  });
}

absl::Status ZfsDomain::Undo(const kit::Step& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const Opened opened,
                       Open(host_, asides_, step, context.run_id, context.captured, context.on_child,
                            /*secrets=*/nullptr, /*node_key=*/{}, context.undoing));
  return Guarded(step, [&]() -> absl::Status {
    return std::visit([&](const auto& typed) { return phoenix::zfs::Undo(opened.work, typed); }, opened.step);
  });
}

std::vector<std::string> ZfsDomain::RemainingCommands(const kit::Step& step,
                                                      const kit::StepContext& context) {
  std::vector<std::string> texts;
  const auto opened = Open(host_, asides_, step, context.run_id, context.captured, nullptr);
  if (!opened.ok()) return {"# " + Message(opened.status())};
  const absl::Status status = Guarded(step, [&]() -> absl::Status {
    const auto changes =
        std::visit([&](const auto& typed) { return UndoChanges(opened->work, typed); }, opened->step);
    for (const auto& change : changes) {
      for (auto& text : ToText(change)) texts.push_back(AsTyped(std::move(text)));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) texts.push_back("# " + Message(status));
  return texts;
}

absl::StatusOr<kit::LedgerChange> ZfsDomain::LedgerOf(const kit::Step& step,
                                                      const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const Opened opened,
                       Open(host_, asides_, step, context.run_id, context.captured, nullptr));
  return Guarded(step, [&]() -> absl::StatusOr<kit::LedgerChange> {
    return std::visit([&](const auto& typed) { return phoenix::zfs::LedgerOf(opened.work, typed); },
                      opened.step);
  });
}

absl::StatusOr<kit::Retrospect> ZfsDomain::LookBack(const kit::Step& step, const kit::StepContext& context) {
  PHX_ASSIGN_OR_RETURN(const Opened opened,
                       Open(host_, asides_, step, context.run_id, context.captured, nullptr));
  if (const auto* content = std::get_if<ChangeContentStep>(&opened.step))
    return phoenix::zfs::LookBack(opened.work, *content);
  if (const auto* replaced = std::get_if<ReplaceDiskStep>(&opened.step))
    return phoenix::zfs::LookBack(opened.work, *replaced);
  if (const auto* added = std::get_if<AddVdevStep>(&opened.step))
    return phoenix::zfs::LookBack(opened.work, *added);
  if (const auto* load = std::get_if<LoadKeyStep>(&opened.step))
    return phoenix::zfs::LookBack(opened.work, *load);
  if (const auto* restored = std::get_if<RestoreKeptStep>(&opened.step)) {
    PHX_ASSIGN_OR_RETURN(const auto dataset, opened.work.Dataset(restored->to));
    if (dataset && IsBound(*dataset)) {
      return kit::Retrospect{
          kit::Retrospect::Kind::kStays,
          fmt::format("ZFS lets it not leave {}, whose key it has", dataset->Value("encryptionroot"))};
    }
  }
  std::string name;
  if (const auto* dataset = std::get_if<CreateDatasetStep>(&opened.step)) name = dataset->name;
  if (const auto* pool = std::get_if<CreatePoolStep>(&opened.step)) name = pool->name;
  if (name.empty()) return kit::Retrospect();
  PHX_ASSIGN_OR_RETURN(const auto dataset, opened.work.Dataset(name));
  if (dataset && IsLocked(*dataset)) {
    return kit::Retrospect{kit::Retrospect::Kind::kObstacle,
                           "what others wrote to it cannot be told: " + HowToUnlock(*dataset)};
  }
  PHX_ASSIGN_OR_RETURN(const std::string found, FindOthersIn(opened.work, name));
  if (found.empty()) return kit::Retrospect();
  return kit::Retrospect{kit::Retrospect::Kind::kObstacle, found};
}

bool ZfsDomain::ComesToLight(const kit::Step& step, const std::vector<kit::Step>& applied) {
  const auto typed = StepFromJson(step.payload);
  if (!typed.ok()) return false;
  std::string name;
  bool inside = false;  // of a dataset
  if (const auto* root = std::get_if<SetMountRootStep>(&*typed)) name = root->name, inside = true;
  if (const auto* content = std::get_if<ChangeContentStep>(&*typed)) name = content->name, inside = true;
  if (const auto* made = std::get_if<CreateDatasetStep>(&*typed)) name = made->name;
  if (const auto* set = std::get_if<SetPropertiesStep>(&*typed)) name = set->name;
  if (const auto* mount = std::get_if<MountStep>(&*typed)) name = mount->name;
  if (name.empty()) return false;
  return std::any_of(applied.begin(), applied.end(), [&](const kit::Step& one) {
    const auto done = StepFromJson(one.payload);
    if (!done.ok()) return false;
    if (const auto* import = std::get_if<ImportPoolStep>(&*done)) return import->name == PoolOf(name);
    const auto* load = std::get_if<LoadKeyStep>(&*done);
    return load != nullptr && inside &&
           std::any_of(load->mounts.begin(), load->mounts.end(),
                       [&](const auto& mount) { return mount.name == name; });
  });
}

absl::StatusOr<kit::VerifyReport> ZfsDomain::Verify(const kit::VerifyInput& input) {
  kit::VerifyReport report;
  ObserveRequest request;
  request.pools = request.all_datasets = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, host_.Observe(request));
  for (const auto& step : input.applied) {
    // Where its key and its mounts are its probe says; a pool that it opens may be degraded, and what it
    // mounted may have moved since.
    if (step.id.starts_with("key:")) continue;
    for (const auto& key : step.provides) {
      const std::string name(kit::NameOf(key));
      if (kit::KindOf(key) == "pool") {
        const auto pool = seen.pools.find(name);
        if (pool == seen.pools.end() || pool->second.health != "ONLINE") {
          return FailedPrecondition("pool {} is {}", name,
                                    pool == seen.pools.end() ? "not there" : pool->second.health);
        }
        report.probes.push_back(fmt::format("pool {} is ONLINE", name));
      } else if (kit::KindOf(key) == "path" && !step.id.starts_with("directory:") &&
                 !step.id.starts_with("import:")) {
        // What is in a pool that was imported nobody could see before.
        const bool mounted =
            std::any_of(seen.datasets.begin(), seen.datasets.end(),
                        [&](const auto& dataset) { return dataset.second.mounted_at == name; });
        if (!mounted)
          return FailedPrecondition("nothing is mounted at {} in the host's mount namespace", name);
        report.probes.push_back(fmt::format("{} is mounted in the host's mount namespace", name));
      }
    }
  }
  return report;
}

absl::StatusOr<std::vector<std::string>> ZfsDomain::CheckpointsOf(
    const std::vector<kit::Step>& steps, const std::vector<std::string>& disturbed_keys) {
  PHX_ASSIGN_OR_RETURN(const Touching touching, TouchingOf(steps, disturbed_keys));
  return phoenix::zfs::CheckpointsOf(host_, touching);
}

absl::Status ZfsDomain::Checkpoint(const std::string& run_id, const std::vector<kit::Step>& steps,
                                   const std::vector<std::string>& disturbed_keys) {
  PHX_ASSIGN_OR_RETURN(const Touching touching, TouchingOf(steps, disturbed_keys));
  // The reaper must not meet a snapshot that is not held yet.
  const absl::MutexLock lock(&asides_);
  return TakeCheckpoint(host_, run_id, touching);
}

absl::Status ZfsDomain::Close(const std::string& run_id, bool committed) {
  bool discarded = false;
  {
    const absl::MutexLock lock(&asides_);
    PHX_RETURN_IF_ERROR(committed ? ReleaseCheckpoint(host_, run_id, clock_.WallSeconds())
                                  : DropCheckpoint(host_, run_id));
    if (committed) {
      PHX_ASSIGN_OR_RETURN(discarded, TidyKept(host_, run_id));
    }
  }
  // Who discarded it is told whether it is gone.
  if (discarded) return reaper_.Pass();
  reaper_.Wake();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<kit::ObservedField>> ZfsDomain::Observe(const std::vector<std::string>& keys) {
  const std::set<std::string> wanted(keys.begin(), keys.end());
  const auto asked = [&](const std::string& key) { return wanted.empty() || wanted.count(key) != 0; };
  ObserveRequest request;
  request.pools = request.all_datasets = request.arc = true;
  PHX_ASSIGN_OR_RETURN(const ZfsState seen, host_.Observe(request));
  std::vector<kit::ObservedField> fields;
  for (const auto& [name, pool] : seen.pools) {
    const std::string key = "pool:" + name;
    if (!asked(key)) continue;
    fields.push_back({key, "guid", std::to_string(pool.guid), "-"});
    fields.push_back({key, "health", pool.health, "-"});
    fields.push_back({key, "raid_level", RaidLevelOf(pool.layout), "-"});
    fields.push_back({key, "layout", ToText(pool.layout), "-"});
  }
  for (const auto& [name, dataset] : seen.datasets) {
    const std::string key = "dataset:" + name;
    if (!asked(key)) continue;
    fields.push_back({key, "guid", std::to_string(dataset.guid), "-"});
    fields.push_back({key, "type", dataset.type, "-"});
    fields.push_back({key, "mounted at", dataset.mounted_at, "-"});
    if (dataset.root) {
      fields.push_back({key, "owner", std::to_string(dataset.root->uid), "-"});
      fields.push_back({key, "group", std::to_string(dataset.root->gid), "-"});
      fields.push_back({key, "mode", fmt::format("{:o}", dataset.root->mode), "-"});
      fields.push_back({key, "acl", fmt::format("{}", fmt::join(dataset.acl, ",")), "-"});
    }
    for (const auto& [property, state] : dataset.properties) {
      if (FindProperty(property) == nullptr && !IsUserProperty(property)) continue;
      fields.push_back({key, property, state.value, state.source});
    }
    if (!IsEncrypted(dataset)) continue;
    for (const char* property : {"encryption", "keyformat", "encryptionroot", "keystatus"})
      fields.push_back({key, property, dataset.Value(property), "-"});
  }
  if (asked("arc:limit")) {
    fields.push_back({"arc:limit", "live", std::to_string(seen.arc.live.value_or(0)), "-"});
    fields.push_back({"arc:limit", "file", seen.arc.file ? seen.arc.file->content : "", "-"});
  }
  return fields;
}

}  // namespace phoenix::zfs

#include "services/proxmox/worker/storage_change.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/proxmox_command.h"

namespace phoenix::proxmox {
namespace {

// Another tool, or another node of the run, may rewrite the file between our reading and our change, or hold
// its lock. Each time is decided anew.
class Tries {
 public:
  // `last`: what the one before said.
  bool Again(const absl::Status& last) {
    if (++count_ == 1) return true;
    const auto reason = ReasonOf(last);
    // The tool has waited 10 s for a held lock already.
    if (reason && reason->reason == kStorageLocked) return count_ <= kTriesForLock;
    if (count_ > kTriesForChange) return false;
    // Nodes that undo one run would meet again and again.
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution(5, 100)(random_)));
    return true;
  }

 private:
  static constexpr int kTriesForLock = 3;
  static constexpr int kTriesForChange = 40;
  int count_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

using Entry = std::optional<StorageEntry>;

Entry Find(const StorageConfig& config, const std::string& id) {
  const auto found = config.entries.find(id);
  if (found == config.entries.end()) return std::nullopt;
  return found->second;
}

std::string Describe(const std::vector<Difference>& differences) {
  std::string text;
  for (const Difference& difference : differences) {
    text += fmt::format("{}{} '{}' instead of '{}'", text.empty() ? "" : ", ", difference.field,
                        difference.found, difference.wanted);
  }
  return text;
}

// Nothing happened, and trying again may succeed.
bool IsWorthAnotherTry(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kAborted || status.code() == absl::StatusCode::kAlreadyExists)
    return true;
  const auto reason = ReasonOf(status);
  return reason && reason->reason == kStorageLocked;
}

// An entry that somebody else changed is not ours to take away.
absl::Status CheckUnchanged(const StorageEntry& entry, const Definition& definition) {
  const auto differences = Compare(entry, definition);
  if (!differences.empty()) {
    return FailedPrecondition("storage '{}' was changed by somebody else since ({}); Phoenix leaves it alone",
                              entry.id, Describe(differences));
  }
  const auto foreign = ForeignOptions(entry, definition);
  if (foreign.empty()) return absl::OkStatus();
  return FailedPrecondition("somebody else has set {} of storage '{}' since; Phoenix leaves it alone",
                            fmt::format("{}", fmt::join(foreign, ", ")), entry.id);
}

// Whether each field is as captured.
bool EqualsBefore(const StorageEntry& entry, const StorageStep& step, const Captured& before) {
  if (entry.type != before.type) return false;
  if (step.definition.content && before.content && entry.content != *before.content) return false;
  Definition former{entry.type, std::nullopt, {}};
  // An option that was not set compares as empty, which a boolean that is off equals.
  for (const auto& [name, value] : before.options) former.options[name] = value.value_or("");
  return Compare(entry, former).empty();
}

}  // namespace

absl::StatusOr<Words> StorageChanges::PresentFolders(const StorageStep& step) {
  Words present;
  if (step.action == StorageAction::kRemove) return present;
  Definition definition = step.definition;
  if (step.action == StorageAction::kSet) {
    // Only contents bring folders; the path is the entry's.
    if (!definition.content) return present;
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    const Entry entry = Find(config, step.id);
    if (!entry) return present;
    definition = DefinitionOf(*entry);
    definition.content = step.definition.content;
  }
  const std::string mounted_at = IsNetwork(definition) ? PathOf(step.id, definition) : "";
  for (const std::string& folder : FoldersOf(step.id, definition)) {
    if (folder == mounted_at) {
      // Looking into a mount whose server is gone would hang.
      PHX_ASSIGN_OR_RETURN(const bool mounted, host_.IsMounted(folder));
      if (mounted) {
        present.insert(folder);
        continue;
      }
    }
    PHX_ASSIGN_OR_RETURN(const auto there, host_.files().ReadDirectory(folder));
    if (there) present.insert(folder);
  }
  return present;
}

absl::StatusOr<Captured> StorageChanges::Capture(const StorageStep& step) {
  Captured captured;
  PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
  const Entry entry = Find(config, step.id);
  captured.member = entry && IsMember(*entry, step.node);
  PHX_ASSIGN_OR_RETURN(captured.folders, PresentFolders(step));
  if (IsNetwork(step.definition)) {
    PHX_ASSIGN_OR_RETURN(captured.mounted, host_.IsMounted(PathOf(step.id, step.definition)));
  }
  if (!step.password_secret.empty()) {
    PHX_ASSIGN_OR_RETURN(const auto file, host_.files().Read(PasswordPath(step.id)));
    // With an entry it belongs to that: another node of the cluster has added it.
    captured.password = file.has_value() && !entry;
  }
  if (step.action == StorageAction::kSet && entry) {
    captured.type = entry->type;
    if (step.definition.content) captured.content = entry->content;
    for (const auto& [name, value] : step.definition.options) {
      const auto found = entry->options.find(name);
      captured.options[name] = found == entry->options.end() ? std::nullopt : std::optional(found->second);
    }
  }
  if (step.action == StorageAction::kRemove) {
    captured.entry = entry;
    // Other members come and go in the same run.
    if (captured.member && !entry->nodes.empty()) captured.entry->nodes = {step.node};
  }
  return captured;
}

absl::Status StorageChanges::Do(const StorageStep& step, const Captured& before, const Secret& password,
                                const ChildObserver& on_child, std::vector<std::string>& warnings) {
  switch (step.action) {
    case StorageAction::kAdd:
      return Join(step, password, on_child, warnings);
    case StorageAction::kSet:
      return SetFields(step, before, /*back=*/false, on_child, warnings);
    case StorageAction::kRemove:
      return Leave(step, step.definition, on_child);
  }
  return Internal("unknown action");
}

absl::Status StorageChanges::Join(const StorageStep& step, const Secret& password,
                                  const ChildObserver& on_child, std::vector<std::string>& warnings) {
  absl::Status last;
  for (Tries tries; tries.Again(last);) {
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    const Entry entry = Find(config, step.id);
    absl::StatusOr<ToolReport> report;
    if (!entry && password.empty() && step.definition.options.count("username") != 0) {
      return Aborted(
          "storage '{}' was removed meanwhile, and with it the password that its users log in with; "
          "nothing was changed. Plan again",
          step.id);
    }
    if (!entry) {
      report = host_.Add({step.id,
                          step.definition.type,
                          step.definition.content,
                          {step.node},
                          step.definition.options,
                          false,
                          password},
                         on_child);
    } else {
      const auto differences = Compare(*entry, step.definition);
      if (!differences.empty()) {
        return Aborted("storage '{}' is there by now and is another one ({}); Phoenix leaves it alone",
                       step.id, Describe(differences));
      }
      if (IsMember(*entry, step.node)) return absl::OkStatus();
      StorageChange change{step.id, std::nullopt, entry->nodes, {}, {}, config.digest};
      change.nodes->insert(step.node);
      report = host_.Set(change, on_child);
    }
    if (report.ok()) warnings.insert(warnings.end(), report->warnings.begin(), report->warnings.end());
    last = report.status();
    if (IsWorthAnotherTry(last)) continue;

    // Whatever the tool said, the file knows.
    PHX_ASSIGN_OR_RETURN(const StorageConfig after, host_.ReadStorages());
    const Entry now = Find(after, step.id);
    if (!now || !IsMember(*now, step.node)) {
      if (!last.ok()) return last;
      return FailedPrecondition("Proxmox VE said that storage '{}' was added, but {} does not hold it",
                                step.id, kStorageConfigPath);
    }
    const auto differences = Compare(*now, step.definition);
    if (differences.empty()) return absl::OkStatus();
    // It was not there a moment ago and the tool made it: it is ours, and not what it should be.
    if (!entry && last.ok()) {
      PHX_RETURN_IF_ERROR(host_.Remove(step.id, on_child).status());
    }
    std::string said;
    for (const auto& warning : warnings) said += (said.empty() ? "; it said: " : "; ") + warning;
    return FailedPrecondition("Proxmox VE made storage '{}' with {}{}", step.id, Describe(differences), said);
  }
  return last;
}

// True where nothing says which nodes have it, and there are others.
absl::StatusOr<bool> StorageChanges::BelongsToAll(const StorageEntry& entry, const std::string& node) {
  if (!entry.nodes.empty()) return false;
  PHX_ASSIGN_OR_RETURN(const auto nodes, host_.files().List("/etc/pve/nodes"));
  return std::any_of(nodes.begin(), nodes.end(), [&](const std::string& one) { return one != node; });
}

absl::Status StorageChanges::Leave(const StorageStep& step, const Definition& definition,
                                   const ChildObserver& on_child) {
  absl::Status last;
  for (Tries tries; tries.Again(last);) {
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    const Entry entry = Find(config, step.id);
    if (!entry || !IsMember(*entry, step.node)) return absl::OkStatus();
    Words rest = entry->nodes;
    rest.erase(step.node);
    // Where others keep the entry, nothing of it is lost by leaving.
    if (rest.empty()) PHX_RETURN_IF_ERROR(CheckUnchanged(*entry, definition));
    PHX_ASSIGN_OR_RETURN(const bool everybodys, BelongsToAll(*entry, step.node));
    if (everybodys) {
      return FailedPrecondition(
          "storage '{}' belongs to all nodes of the cluster by now; Phoenix leaves it alone. Restrict it to "
          "those that are to have it (`pvesm set {} --nodes …`), or take it away yourself",
          step.id, step.id);
    }
    PHX_ASSIGN_OR_RETURN(const auto users, host_.UsersOf(step.id, rest.empty() ? "" : step.node));
    if (!users.empty()) {
      return FailedPrecondition(
          "storage '{}' is in use by {}: it stays until those volumes are moved or removed", step.id,
          fmt::format("{}", fmt::join(users, ", ")));
    }
    absl::StatusOr<ToolReport> report;
    if (!rest.empty()) {
      StorageChange change{step.id, std::nullopt, rest, {}, {}, config.digest};
      report = host_.Set(change, on_child);
    } else if (step.created) {
      // remove takes no digest, so what was compared a moment ago is the best there is.
      report = host_.Remove(step.id, on_child);
    } else {
      return FailedPrecondition(
          "this node is the last one of storage '{}', which Phoenix did not create; take it away "
          "yourself (`pvesm remove {}`) or give it to another node",
          step.id, step.id);
    }
    last = report.status();
    if (IsWorthAnotherTry(last)) continue;
    PHX_ASSIGN_OR_RETURN(const StorageConfig after, host_.ReadStorages());
    const Entry now = Find(after, step.id);
    if (!now || !IsMember(*now, step.node)) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("Proxmox VE said that storage '{}' was removed, but {} still holds it", step.id,
                              kStorageConfigPath);
  }
  return last;
}

absl::Status StorageChanges::SetFields(const StorageStep& step, const Captured& before, bool back,
                                       const ChildObserver& on_child, std::vector<std::string>& warnings) {
  absl::Status last;
  for (Tries tries; tries.Again(last);) {
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    const Entry entry = Find(config, step.id);
    if (!entry) return FailedPrecondition("storage '{}' was removed by somebody else since", step.id);
    const bool is_after = Compare(*entry, step.definition).empty();
    const bool is_before = EqualsBefore(*entry, step, before);
    if (back ? is_before : is_after) return absl::OkStatus();
    if (back ? !is_after : !is_before) {
      return FailedPrecondition(
          "storage '{}' was changed by somebody else since ({}); Phoenix leaves it alone", step.id,
          Describe(Compare(*entry, step.definition)));
    }
    StorageChange change{step.id, std::nullopt, std::nullopt, {}, {}, config.digest};
    if (back) {
      change.content = before.content;
      for (const auto& [name, value] : before.options) {
        if (value) {
          change.set[name] = *value;
        } else {
          change.remove.insert(name);
        }
      }
    } else {
      change.content = step.definition.content;
      change.set = step.definition.options;
    }
    const auto report = host_.Set(change, on_child);
    if (report.ok()) warnings.insert(warnings.end(), report->warnings.begin(), report->warnings.end());
    last = report.status();
    if (IsWorthAnotherTry(last)) continue;
    PHX_ASSIGN_OR_RETURN(const StorageConfig after, host_.ReadStorages());
    const Entry now = Find(after, step.id);
    if (now && (back ? EqualsBefore(*now, step, before) : Compare(*now, step.definition).empty())) {
      return absl::OkStatus();
    }
    if (!last.ok()) return last;
    return FailedPrecondition("Proxmox VE said that storage '{}' was changed, but {} says otherwise ({})",
                              step.id, kStorageConfigPath,
                              now ? Describe(Compare(*now, step.definition)) : "it is gone");
  }
  return last;
}

namespace {

// Without its password Proxmox VE could not log in when it switches the entry on, or would be a guest.
bool StaysDisabled(const StorageEntry& entry) {
  return entry.disabled || entry.options.count("username") != 0;
}

// Added anew by this undo, for this node alone, and to be switched on by itself: what it leads to may be away
// by now, and adding would try to reach it.
bool WaitsForSwitch(const StorageEntry& now, const StorageEntry& former, const std::string& node) {
  return now.disabled && !StaysDisabled(former) && now.nodes == Words{node};
}

StorageChange SwitchOn(const std::string& id, const std::string& digest) {
  return {id, std::nullopt, std::nullopt, {}, {"disable"}, digest};
}

}  // namespace

absl::Status StorageChanges::AddBack(const StorageStep& step, const StorageEntry& entry,
                                     const ChildObserver& on_child) {
  absl::Status last;
  for (Tries tries; tries.Again(last);) {
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    const Entry now = Find(config, step.id);
    absl::StatusOr<ToolReport> report;
    if (now) {
      const auto differences = Compare(*now, DefinitionOf(entry));
      if (!differences.empty()) {
        return FailedPrecondition(
            "storage '{}' was made anew by somebody else since ({}); Phoenix leaves it alone", step.id,
            Describe(differences));
      }
      if (IsMember(*now, step.node)) {
        if (!WaitsForSwitch(*now, entry, step.node)) return absl::OkStatus();
        report = host_.Set(SwitchOn(step.id, config.digest), on_child);
      } else {
        StorageChange change{step.id, std::nullopt, now->nodes, {}, {}, config.digest};
        change.nodes->insert(step.node);
        report = host_.Set(change, on_child);
      }
    } else {
      report = host_.Add({entry.id, entry.type, entry.content, entry.nodes, entry.options, true}, on_child);
      if (report.ok() && !StaysDisabled(entry)) report = host_.Set(SwitchOn(step.id, ""), on_child);
    }
    last = report.status();
    if (IsWorthAnotherTry(last)) continue;
    PHX_ASSIGN_OR_RETURN(const StorageConfig after, host_.ReadStorages());
    const Entry found = Find(after, step.id);
    const bool back = found && IsMember(*found, step.node) && Compare(*found, DefinitionOf(entry)).empty();
    if (back && !WaitsForSwitch(*found, entry, step.node)) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("Proxmox VE said that storage '{}' was added, but {} does not hold it so",
                              step.id, kStorageConfigPath);
  }
  return last;
}

// Folders that came with the entry and hold nothing but such folders, children first.
absl::StatusOr<std::vector<std::string>> StorageChanges::Leftovers(const StorageStep& step,
                                                                   const Captured& before) {
  std::vector<std::string> leftovers;
  PHX_ASSIGN_OR_RETURN(const Words present, PresentFolders(step));
  // By path, so that children come after their parents; walked backwards.
  for (auto folder = present.rbegin(); folder != present.rend(); ++folder) {
    if (before.folders.count(*folder) != 0) continue;
    if (IsNetwork(step.definition) && *folder == PathOf(step.id, step.definition)) {
      PHX_ASSIGN_OR_RETURN(const bool mounted, host_.IsMounted(*folder));
      if (mounted) {
        // What is seen there is the server's; the folder below is as Proxmox VE made it.
        leftovers.push_back(*folder);
        continue;
      }
    }
    PHX_ASSIGN_OR_RETURN(const auto names, host_.files().List(*folder));
    const bool empty = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return std::find(leftovers.begin(), leftovers.end(), *folder + "/" + name) != leftovers.end();
    });
    if (empty) leftovers.push_back(*folder);
  }
  return leftovers;
}

absl::Status StorageChanges::Tidy(const StorageStep& step, const Captured& before,
                                  const ChildObserver& on_child) {
  if (step.action == StorageAction::kAdd && IsNetwork(step.definition) && !before.mounted) {
    // Removing the entry leaves the mount; without the entry nothing uses it any more.
    PHX_RETURN_IF_ERROR(host_.Unmount(PathOf(step.id, step.definition), on_child));
  }
  if (!step.password_secret.empty() && !before.password) {
    // The cluster has one, which goes with the last node that has the entry.
    PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
    if (!Find(config, step.id)) PHX_RETURN_IF_ERROR(host_.files().Remove(PasswordPath(step.id)));
  }
  PHX_ASSIGN_OR_RETURN(const auto leftovers, Leftovers(step, before));
  for (const std::string& folder : leftovers) {
    const absl::Status removed = host_.files().RemoveDirectory(folder);
    // Somebody put something there just now: it is theirs.
    if (!removed.ok() && removed.code() != absl::StatusCode::kFailedPrecondition) return removed;
  }
  return absl::OkStatus();
}

absl::StatusOr<kit::ProbeResult> StorageChanges::ProbeGone(const StorageStep& step, const Captured& before,
                                                           const Entry& others) {
  if (step.action == StorageAction::kAdd && IsNetwork(step.definition) && !before.mounted) {
    const std::string path = PathOf(step.id, step.definition);
    PHX_ASSIGN_OR_RETURN(const bool mounted, host_.IsMounted(path));
    if (mounted)
      return kit::ProbeResult{kit::Probe::kPartial, fmt::format("no entry, but a mount at {}", path)};
  }
  if (!step.password_secret.empty() && !before.password && !others) {
    // Proxmox VE writes it before the entry.
    PHX_ASSIGN_OR_RETURN(const auto file, host_.files().Read(PasswordPath(step.id)));
    if (file) return kit::ProbeResult{kit::Probe::kPartial, "no entry, but the file with its password"};
  }
  PHX_ASSIGN_OR_RETURN(const auto leftovers, Leftovers(step, before));
  if (!leftovers.empty()) {
    return kit::ProbeResult{kit::Probe::kPartial,
                            fmt::format("not set, but its folder {} is there", leftovers.front())};
  }
  return kit::ProbeResult{kit::Probe::kNotDone, ""};
}

absl::StatusOr<kit::ProbeResult> StorageChanges::Probe(const StorageStep& step, const Captured& before) {
  PHX_ASSIGN_OR_RETURN(const StorageConfig config, host_.ReadStorages());
  const Entry entry = Find(config, step.id);
  const bool member = entry && IsMember(*entry, step.node);
  switch (step.action) {
    case StorageAction::kAdd: {
      if (!member) return ProbeGone(step, before, entry);
      const auto differences = Compare(*entry, step.definition);
      if (differences.empty()) return kit::ProbeResult{kit::Probe::kDone, ""};
      // Its other nodes take back theirs when they like; this one may leave it however it is.
      const bool others = !before.member && StaysWithOthers(*entry, step.node);
      return kit::ProbeResult{others ? kit::Probe::kPartial : kit::Probe::kForeign, Describe(differences)};
    }
    case StorageAction::kSet: {
      if (!entry) return kit::ProbeResult{kit::Probe::kForeign, "the entry is gone"};
      if (Compare(*entry, step.definition).empty()) return kit::ProbeResult{kit::Probe::kDone, ""};
      if (EqualsBefore(*entry, step, before)) return ProbeGone(step, before, entry);
      return kit::ProbeResult{kit::Probe::kForeign, Describe(Compare(*entry, step.definition))};
    }
    case StorageAction::kRemove: {
      if (!member) return kit::ProbeResult{kit::Probe::kDone, ""};
      const auto differences = Compare(*entry, step.definition);
      if (!differences.empty()) return kit::ProbeResult{kit::Probe::kForeign, Describe(differences)};
      if (before.entry && WaitsForSwitch(*entry, *before.entry, step.node))
        return kit::ProbeResult{kit::Probe::kPartial, "it is there again, but not switched on"};
      return kit::ProbeResult{kit::Probe::kNotDone, ""};
    }
  }
  return Internal("unknown action");
}

absl::Status StorageChanges::Undo(const StorageStep& step, const Captured& before,
                                  const ChildObserver& on_child) {
  std::vector<std::string> ignored;
  switch (step.action) {
    case StorageAction::kAdd:
      if (!before.member) PHX_RETURN_IF_ERROR(Leave(step, step.definition, on_child));
      return Tidy(step, before, on_child);
    case StorageAction::kSet:
      PHX_RETURN_IF_ERROR(SetFields(step, before, /*back=*/true, on_child, ignored));
      return Tidy(step, before, on_child);
    case StorageAction::kRemove:
      if (!before.entry || !before.member) return absl::OkStatus();
      return AddBack(step, *before.entry, on_child);
  }
  return Internal("unknown action");
}

std::vector<std::string> StorageChanges::RemainingCommands(const StorageStep& step, const Captured& before) {
  std::vector<std::string> commands;
  const auto config = host_.ReadStorages();
  const Entry entry = config.ok() ? Find(*config, step.id) : std::nullopt;
  const auto set_nodes = [&](const Words& nodes) {
    commands.push_back(ToText(SetCommand({step.id, std::nullopt, nodes, {}, {}, ""})));
  };
  switch (step.action) {
    case StorageAction::kAdd: {
      Words rest = entry ? entry->nodes : Words{};
      rest.erase(step.node);
      const bool everybodys = entry && BelongsToAll(*entry, step.node).value_or(true);
      if (!rest.empty()) {
        if (IsMember(*entry, step.node)) set_nodes(rest);
      } else if ((entry || !config.ok()) && !everybodys) {
        commands.push_back(ToText(RemoveCommand(step.id)));
      }
      if (IsNetwork(step.definition) && !before.mounted) {
        commands.push_back(ToText(UnmountCommand(PathOf(step.id, step.definition))));
      }
      break;
    }
    case StorageAction::kSet: {
      StorageChange change{step.id, before.content, std::nullopt, {}, {}, ""};
      for (const auto& [name, value] : before.options) {
        if (value) {
          change.set[name] = *value;
        } else {
          change.remove.insert(name);
        }
      }
      commands.push_back(ToText(SetCommand(change)));
      break;
    }
    case StorageAction::kRemove:
      if (before.entry && entry) {
        Words nodes = entry->nodes;
        nodes.insert(step.node);
        if (!IsMember(*entry, step.node)) set_nodes(nodes);
      } else if (before.entry) {
        const StorageEntry& former = *before.entry;
        commands.push_back(
            ToText(AddCommand({former.id, former.type, former.content, former.nodes, former.options, true})));
        if (!StaysDisabled(former)) commands.push_back(ToText(SetCommand(SwitchOn(former.id, ""))));
      }
      return commands;
  }
  const auto leftovers = Leftovers(step, before);
  if (leftovers.ok()) {
    for (const std::string& folder : *leftovers) commands.push_back("rmdir " + folder);
  }
  return commands;
}

}  // namespace phoenix::proxmox

#include "services/proxmox/domain/container_planner.h"

#include <fmt/format.h>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"
#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

// mp0 to mp255.
constexpr int kMountNumbers = 256;

constexpr uint64_t kLargestGib = 1024 * 1024;

// Absolute, not "/", in its one form, and whole between the commas of an mpN line, where "=" parts a key from
// its value.
bool IsPlainPath(const std::string& path) {
  if (path.size() < 2 || path.front() != '/' || path != CleanPath(path)) return false;
  for (const char c : path) {
    if (c == ',' || c == '=' || c < ' ' || c > '~') return false;
  }
  if (path.back() == ' ') return false;
  const std::string parts = path + "/";
  return parts.find("/./") == std::string::npos && parts.find("/../") == std::string::npos;
}

bool IsAtOrBelow(std::string_view path, std::string_view parent) {
  return path.starts_with(parent) && (path.size() == parent.size() || path[parent.size()] == '/');
}

std::string OptionOf(const ContainerMount& mount, std::string_view name, std::string missing) {
  const auto found = mount.options.find(name);
  return found == mount.options.end() ? std::move(missing) : found->second;
}

class Planner {
 public:
  Planner(const ContainersState& state) : state_(state) {}

  absl::StatusOr<ContainerPlan> Make(const std::vector<ContainerSpec>& specs) {
    Check(specs);
    if (!problems_.empty()) {
      return WithViolations(InvalidArgument("{} in the declared containers: {}: {}",
                                            problems_.size() == 1 ? "a mistake" : "mistakes",
                                            problems_.front().field, problems_.front().description),
                            problems_);
    }
    for (const ContainerSpec& spec : specs) {
      const auto here = state_.here.find(spec.id);
      if (here != state_.here.end()) {
        Present(spec, here->second);
      } else {
        Missing(spec.id);
      }
    }
    if (!plan_.steps.empty() && !state_.quorate) {
      return WithReason(
          FailedPrecondition("cluster {} has no quorum: /etc/pve is read-only, so containers cannot change; "
                             "bring the other nodes back (`pvecm status` names them) and plan again",
                             state_.cluster),
          {"NO_QUORUM", {{"cluster", state_.cluster}}});
    }
    if (problems_.empty()) return std::move(plan_);
    return WithViolations(
        FailedPrecondition("{}: {}{}", problems_.front().field, problems_.front().description,
                           problems_.size() == 1 ? "" : fmt::format(" (and {} more)", problems_.size() - 1)),
        problems_);
  }

 private:
  // What the loader refuses comes from other clients too, and pct would read a comma as more options.
  void Check(const std::vector<ContainerSpec>& specs) {
    std::set<uint32_t> ids;
    for (const ContainerSpec& spec : specs) {
      if (spec.id < 100 || spec.id > 999999999) Problem(spec.origin, "a container's id is 100 to 999999999");
      if (!ids.insert(spec.id).second)
        Problem(spec.origin, fmt::format("container {} is declared twice", spec.id));
      std::set<std::string> paths;
      const auto check_path = [&](const std::string& path, const std::string& origin) {
        if (!IsPlainPath(path)) {
          Problem(origin, fmt::format("'{}' is no absolute path without commas, . and ..", path));
        } else if (!paths.insert(path).second) {
          Problem(origin, fmt::format("two things are declared at {} of container {}", path, spec.id));
        }
      };
      for (const ContainerVolumeSpec& volume : spec.volumes) {
        check_path(volume.path, volume.origin);
        if (!IsStorageId(volume.storage))
          Problem(volume.origin + ".pool", fmt::format("'{}' is no storage id", volume.storage));
        if (volume.size_gib == 0 || volume.size_gib > kLargestGib)
          Problem(volume.origin + ".size_gb", "a size is 1 to 1048576 GiB");
      }
      for (const ContainerBindSpec& bind : spec.binds) {
        check_path(bind.path, bind.origin);
        if (!IsPlainPath(bind.host_path) || (bind.host_path + "/").starts_with("/dev/"))
          Problem(bind.origin,
                  fmt::format("'{}' is no directory of the host that can be mounted", bind.host_path));
      }
    }
  }

  // Whether another node of the fleet has it, that one says (provided_now).
  void Missing(uint32_t id) {
    kit::Note note{true, fmt::format("container:{}", id), ""};
    note.unless_provided = true;
    const auto elsewhere = state_.elsewhere.find(id);
    note.text = elsewhere == state_.elsewhere.end()
                    ? "is on no node; its volumes and mount points come with the next run once it exists. "
                      "Phoenix makes no containers"
                    : fmt::format("is on node {}, which is not of this fleet; nothing is done about it",
                                  elsewhere->second);
    plan_.notes.push_back(std::move(note));
  }

  void Note(uint32_t id, std::string text) {
    plan_.notes.push_back({true, fmt::format("container:{}", id), std::move(text)});
  }

  void Present(const ContainerSpec& spec, const ContainerConfig& config) {
    const size_t steps = plan_.steps.size();
    const size_t problems = problems_.size();
    if (!spec.placed_on.empty()) {
      Problem(
          spec.origin,
          fmt::format("container {} is on this node ({}), and its persistent volumes are declared on node "
                      "{}: move it there, or name its node in the declaration (\"node\")",
                      spec.id, state_.node, spec.placed_on));
    }
    ContainerStep step;
    step.id = spec.id;
    step.running = state_.running.count(spec.id) != 0;
    for (const ContainerVolumeSpec& volume : spec.volumes) Volume(spec, config, volume, step);
    for (const ContainerBindSpec& bind : spec.binds) Bind(spec, config, bind, step);
    if (!step.mounts.empty()) plan_.steps.push_back(std::move(step));
    if (plan_.steps.size() == steps && problems_.size() == problems) return;
    // Only now: a container that is as it should be may be locked or hold whatever it likes.
    if (config.is_template) {
      Problem(
          spec.origin,
          fmt::format("container {} is a template, of which clones are made: its volumes are read-only, and "
                      "it never starts. Take it out of the declaration, and declare its clones instead",
                      spec.id));
    }
    if (!config.lock.empty()) {
      Problem(
          spec.origin,
          fmt::format("container {} is locked ({}): plan again when that has ended, or `pct unlock {}` if "
                      "nothing runs any more",
                      spec.id, config.lock, spec.id));
    }
    if (config.protection) {
      Problem(spec.origin,
              fmt::format("container {} is protected, so that its volumes and mount points cannot change: "
                          "switch that off (`pct set {} --protection 0`) and plan again",
                          spec.id, spec.id));
    }
    for (const std::string& line : config.unreadable) {
      Problem(spec.origin,
              fmt::format("container {} has a mount point that cannot be read, \"{}\": repair it "
                          "in /etc/pve/nodes/{}/lxc/{}.conf and plan again",
                          spec.id, line, state_.node, spec.id));
    }
  }

  void Problem(const std::string& origin, std::string text) {
    problems_.push_back({origin, std::move(text)});
  }

  struct Found {
    int number = 0;
    const ContainerMount* mount = nullptr;
    bool pending = false;
  };

  // Compared as a whole: /data is not /data2. What comes with the next start is there, too.
  static Found Find(const ContainerConfig& config, const std::string& path) {
    const auto same = [&path](const ContainerMount& mount) {
      std::string_view there = mount.path;
      while (there.size() > 1 && there.back() == '/') there.remove_suffix(1);
      return there == path;
    };
    for (const auto& [number, mount] : config.pending_mounts) {
      if (same(mount)) return {number, &mount, true};
    }
    for (const auto& [number, mount] : config.mounts) {
      if (same(mount)) return {number, &mount, false};
    }
    return {};
  }

  // True, and a problem, where the mount goes with the container's next stop, or becomes another one than is
  // declared.
  bool Goes(const ContainerConfig& config, uint32_t id, const Found& found, bool as_declared,
            const std::string& origin) {
    const std::string key = fmt::format("mp{}", found.number);
    const auto next = config.pending_mounts.find(found.number);
    std::string fate;
    if (found.pending && (as_declared || config.mounts.count(found.number) == 0)) return false;
    if (next != config.pending_mounts.end()) {
      fate = fmt::format("becomes {} at {}", next->second.source, next->second.path);
    } else if (config.pending_removals.count(key) != 0) {
      fate = "is to go";
    } else {
      return false;
    }
    Problem(origin, fmt::format("{} of container {} {} when the container stops: let it stop, or take that "
                                "back (`pct pending {}` shows it, `pct set {} --revert {}`), and plan again",
                                key, id, fate, id, id, key));
    return true;
  }

  // True, and a problem, where a line that LXC itself reads serves the path, or hides it.
  bool ServedByLxc(const ContainerConfig& config, uint32_t id, const std::string& path,
                   const std::string& origin) {
    for (const RawMount& raw : config.raw_mounts) {
      if (!IsAtOrBelow(path, raw.path)) continue;
      Problem(origin,
              fmt::format("{} of container {} is {} already, by the line \"{}\" of "
                          "/etc/pve/nodes/{}/lxc/{}.conf, which Phoenix does not manage: take that line out, "
                          "or declare another path",
                          path, id, path == raw.path ? "served" : "hidden", raw.line, state_.node, id));
      return true;
    }
    return false;
  }

  // Null, and a problem, where neither the node nor the plan has it.
  const ContainerStorage* StorageOf(const ContainerVolumeSpec& wanted) {
    const auto storage = state_.storages.find(wanted.storage);
    if (storage != state_.storages.end()) return &storage->second;
    Problem(wanted.origin + ".pool",
            fmt::format("node {} has no storage '{}', or it is switched off, and none is declared: name one "
                        "of `pvesm status`, or declare it",
                        state_.node, wanted.storage));
    return nullptr;
  }

  // A volume is known by its path: one whose path was changed in the file comes anew, and empty.
  void NoteUndeclared(const ContainerSpec& spec, const ContainerConfig& config,
                      const ContainerVolumeSpec& wanted) {
    for (const auto& [number, mount] : config.mounts) {
      const bool declared =
          std::any_of(spec.volumes.begin(), spec.volumes.end(), [&, number = number](const auto& one) {
            return Find(config, one.path).number == number && Find(config, one.path).mount != nullptr;
          });
      if (declared || mount.storage() != wanted.storage) continue;
      std::string moved = fmt::format("{},mp={}", mount.source, wanted.path);
      for (const auto& [name, value] : mount.options) moved += fmt::format(",{}={}", name, value);
      Note(spec.id,
           fmt::format("{} gets a new, empty volume; volume {} (mp{}, at {}) is declared by no path and "
                       "stays as it is. If it is the one that is meant, move it: pct set {} --mp{} {}",
                       wanted.path, mount.source, number, mount.path, spec.id, number, moved));
    }
  }

  void Volume(const ContainerSpec& spec, const ContainerConfig& config, const ContainerVolumeSpec& wanted,
              ContainerStep& step) {
    if (ServedByLxc(config, spec.id, wanted.path, wanted.origin)) return;
    const Found found = Find(config, wanted.path);
    if (found.mount == nullptr) {
      NewMount mount{0, wanted.storage, wanted.size_gib, {}, wanted.path, wanted.backup, wanted.read_only};
      const ContainerStorage* storage = StorageOf(wanted);
      if (storage == nullptr) return;
      if (!storage->holds_containers) {
        Problem(wanted.origin + ".pool",
                fmt::format("storage '{}' takes no volumes of containers: give it the content rootdir, or "
                            "name another storage",
                            wanted.storage));
        return;
      }
      NoteUndeclared(spec, config, wanted);
      if (storage->type != kZfspool) step.opaque.insert(wanted.storage);
      Add(spec, config, std::move(mount), kit::Key("storage", wanted.storage), storage->usable_now,
          wanted.origin, step);
      return;
    }
    const ContainerMount& mount = *found.mount;
    if (Goes(config, spec.id, found, mount.storage() == wanted.storage, wanted.origin)) return;
    if (mount.storage() != wanted.storage) {
      Problem(wanted.origin,
              fmt::format(
                  "{} of container {} holds {} (mp{}), not a volume on storage '{}'. Declare what is "
                  "there, or another path; to replace it, move the data and take the mount point away "
                  "yourself (`pct set {} --delete mp{}`; a volume stays as an unused one)",
                  wanted.path, spec.id, mount.source, found.number, wanted.storage, spec.id, found.number));
      return;
    }
    Options(spec.id, found, mount, wanted.backup, wanted.read_only);
    if (found.pending || !mount.size.has_value()) return;  // its size is not known before it is there
    const uint64_t size = wanted.size_gib * kGib;
    if (*mount.size == size) return;
    if (*mount.size == 0) {
      Problem(wanted.origin + ".size_gb",
              fmt::format("volume {} of container {} has no limit, and a limit is nothing that grows: set it "
                          "yourself (`pct resize {} mp{} {}G`) and plan again",
                          mount.source, spec.id, spec.id, found.number, wanted.size_gib));
      return;
    }
    if (*mount.size > size) {
      Problem(
          wanted.origin + ".size_gb",
          fmt::format("volume {} of container {} has {} and cannot shrink to {}: declare its size, or move "
                      "the data into a new volume",
                      mount.source, spec.id, SizeText(*mount.size), SizeText(size)));
      return;
    }
    const ContainerStorage* storage = StorageOf(wanted);
    if (storage == nullptr) return;
    if (storage->type != kZfspool) {
      Problem(wanted.origin + ".size_gb",
              fmt::format("volume {} of container {} has {}; growing a volume on a {} storage cannot be "
                          "undone, so do it yourself (`pct resize {} mp{} {}G`) and plan again",
                          mount.source, spec.id, SizeText(*mount.size), storage->type, spec.id, found.number,
                          wanted.size_gib));
      return;
    }
    ContainerStep grow;
    grow.action = ContainerAction::kGrow;
    grow.id = spec.id;
    grow.number = found.number;
    grow.running = step.running;
    grow.volume = mount.source;
    grow.dataset = DatasetOfVolume(storage->pool, mount.source);
    grow.path = wanted.path;
    grow.size_before = *mount.size;
    grow.size_gib = wanted.size_gib;
    grow.diffs.push_back({"size", SizeText(*mount.size), SizeText(size)});
    grow.requires_keys.push_back({kit::Key("storage", wanted.storage), storage->usable_now});
    plan_.steps.push_back(std::move(grow));
  }

  void Bind(const ContainerSpec& spec, const ContainerConfig& config, const ContainerBindSpec& wanted,
            ContainerStep& step) {
    if (wanted.absent) {
      Unbind(spec, config, wanted, step.running);
      return;
    }
    const std::string key = kit::Key("path", wanted.host_path);
    for (const std::string& removed : state_.removed_keys) {
      if (!kit::Satisfies(removed, key)) continue;
      Problem(wanted.origin,
              fmt::format("{} is to go with this run, but container {} is to see it: take the one "
                          "or the other out of the declaration",
                          wanted.host_path, spec.id));
      return;
    }
    Ownership(spec.id, config, wanted);
    if (ServedByLxc(config, spec.id, wanted.path, wanted.origin)) return;
    const Found found = Find(config, wanted.path);
    const bool there = state_.directories.count(wanted.host_path) != 0;
    if (found.mount == nullptr) {
      NewMount mount{0, {}, 0, wanted.host_path, wanted.path, std::nullopt, wanted.read_only};
      // Else Proxmox VE takes no directory, which no job can copy.
      if (config.replicated) mount.options = {{"replicate", "0"}};
      Add(spec, config, std::move(mount), key, there, wanted.origin, step);
      if (!there) NeedFolder(config, wanted, step);
      return;
    }
    const bool as_declared = found.mount->source == wanted.host_path;
    if (Goes(config, spec.id, found, as_declared, wanted.origin)) return;
    if (!as_declared && wanted.host_uid) {
      Problem(
          wanted.origin,
          fmt::format(
              "{} of container {} is {} (mp{}) already, which goes with its container, and it is to be a "
              "persistent volume. To keep it as it is, declare \"persistent\": false. To make it persistent "
              "what is "
              "in it has to be copied, since the new one is empty: docs/configuration.md, Persistent volumes",
              wanted.path, spec.id, found.mount->source, found.number));
      return;
    }
    if (!as_declared) {
      Problem(
          wanted.origin,
          fmt::format("{} of container {} is {} (mp{}), not {}. Declare what is there, or another path, or "
                      "take the mount point away yourself (`pct set {} --delete mp{}`)",
                      wanted.path, spec.id, found.mount->source, found.number, wanted.host_path, spec.id,
                      found.number));
      return;
    }
    Options(spec.id, found, *found.mount, std::nullopt, wanted.read_only);
    if (!there) {
      Note(
          spec.id,
          fmt::format("mp{} is {}, which is not there: the container does not start until it is. Unless this "
                      "run brings it, make it (`{}`)",
                      found.number, wanted.host_path, CommandToMake(config, wanted)));
    }
  }

  // Only the declared directory at the declared path is known to be meant. Proxmox VE takes nothing away from
  // a running container before its next stop.
  void Unbind(const ContainerSpec& spec, const ContainerConfig& config, const ContainerBindSpec& wanted,
              bool running) {
    const Found found = Find(config, wanted.path);
    if (found.mount == nullptr || Goes(config, spec.id, found, true, wanted.origin)) return;
    const std::string key = fmt::format("mp{}", found.number);
    if (found.mount->source != wanted.host_path) {
      Note(spec.id, fmt::format("{} at {} is {}, not {} that is to be absent; it stays", key, wanted.path,
                                found.mount->source, wanted.host_path));
      return;
    }
    if (running || found.pending) {
      Problem(wanted.origin,
              fmt::format("{} of container {} is to go, and {}: {} and plan again", key, spec.id,
                          found.pending ? "waits for its next start"
                                        : "Proxmox VE takes it away with its next stop only",
                          found.pending ? fmt::format("take it back (`pct set {} --revert {}`)", spec.id, key)
                                        : "stop the container"));
      return;
    }
    const auto copied = found.mount->options.find("replicate");
    if (config.replicated && (copied == found.mount->options.end() || copied->second != "0")) {
      Problem(
          wanted.origin,
          fmt::format(
              "{} of container {} is to go, and Proxmox VE would not take its line back: a job of "
              "/etc/pve/replication.cfg copies the container, and the line has no replicate=0. By hand: pct "
              "set {} --delete {}",
              key, spec.id, spec.id, key));
      return;
    }
    ContainerStep step;
    step.action = ContainerAction::kUnmount;
    step.id = spec.id;
    step.number = found.number;
    step.path = wanted.path;
    step.mounts.push_back({found.number,
                           {},
                           0,
                           wanted.host_path,
                           found.mount->path,
                           std::nullopt,
                           false,
                           found.mount->options});
    step.diffs.push_back({key, MountValue(step.mounts.front()), ""});
    // Nothing is needed for going; but it goes before the directory does.
    step.requires_keys.push_back({kit::Key("path", wanted.host_path), true});
    step.removes.push_back(kit::Key("container-mount", fmt::format("{}:{}", spec.id, wanted.path)));
    plan_.steps.push_back(std::move(step));
  }

  // A file system that holds the path is not enough: neither pct nor anybody else makes the folder, and a
  // container with such a mount point does not start.
  void NeedFolder(const ContainerConfig& config, const ContainerBindSpec& wanted, ContainerStep& step) {
    for (const auto& other : step.requires_keys) {
      if (kit::WithoutWayOut(other.key) == kit::FolderKey(wanted.host_path)) return;
    }
    const std::string way_out = fmt::format(
        "the container of {} could not start. Make it on node {} (`{}`; in a file system that comes with "
        "this "
        "run, after a run without this mount point), or declare a dataset that is mounted there",
        wanted.origin, state_.node, CommandToMake(config, wanted));
    step.requires_keys.push_back({kit::FolderKey(wanted.host_path, way_out), false});
  }

  static std::string CommandToMake(const ContainerConfig& config, const ContainerBindSpec& wanted) {
    std::string owners;
    if (wanted.owner_uid) {
      if (const auto user = OnHost(config, config.users, *wanted.owner_uid)) owners = fmt::to_string(*user);
    }
    if (wanted.owner_gid) {
      if (const auto group = OnHost(config, config.groups, *wanted.owner_gid))
        owners += fmt::format(":{}", *group);
    }
    return owners.empty()
               ? fmt::format("mkdir -p {}", wanted.host_path)
               : fmt::format("mkdir -p {} && chown {} {}", wanted.host_path, owners, wanted.host_path);
  }

  // Proxmox VE takes another value of a running container's mount point only at its next start, and replaces
  // the whole line: that is left to people.
  void Options(uint32_t id, const Found& found, const ContainerMount& mount, std::optional<bool> backup,
               bool read_only) {
    const std::string ro = OptionOf(mount, "ro", "0");
    if (ro != (read_only ? "1" : "0")) {
      Note(id, fmt::format("mp{} has ro={}, declared is {}; Phoenix leaves existing mount points as they are",
                           found.number, ro, read_only ? "1" : "0"));
    }
    const std::string saved = OptionOf(mount, "backup", "0");
    if (backup.has_value() && saved != (*backup ? "1" : "0")) {
      Note(id,
           fmt::format("mp{} has backup={}, declared is {}; Phoenix leaves existing mount points as they are",
                       found.number, saved, *backup ? "1" : "0"));
    }
  }

  void Ownership(uint32_t id, const ContainerConfig& config, const ContainerBindSpec& wanted) {
    const auto directory = state_.directories.find(wanted.host_path);
    const auto compare = [&](std::string_view kind, const std::vector<IdRange>& ranges,
                             std::optional<uint32_t> inside, std::optional<uint32_t> there,
                             std::optional<uint32_t> made) {
      if (!inside) return;
      const auto outside = OnHost(config, ranges, *inside);
      if (made && made != outside) {
        Problem(
            wanted.origin,
            fmt::format("{} is declared for {} {} of the host, but {} {} of container {} is {} there: say "
                        "whether the container is unprivileged (\"unprivileged\"); where it has a map of "
                        "its own (lxc.idmap), declare a dataset with that owner and bind it with "
                        "mount_points",
                        wanted.host_path, kind, *made, kind, *inside, id,
                        outside ? fmt::to_string(*outside) : "nobody"));
      } else if (made) {
        return;  // the configuration itself sees to it
      } else if (!outside) {
        Problem(wanted.origin,
                fmt::format("{} {} of container {} is mapped to none of the host (lxc.idmap), so "
                            "{} cannot belong to it: declare another one, or map it",
                            kind, *inside, id, wanted.host_path));
      } else if (!there) {
        Note(id, fmt::format("{} is not there yet; it must belong to {} {} of the host, which is {} in the "
                             "container: declare that as the dataset's",
                             wanted.host_path, kind, *outside, *inside));
      } else if (*there != *outside) {
        Note(id,
             fmt::format("{} belongs to {} {} and must belong to {}, which is {} in the container: declare "
                         "that as the dataset's, or `{} {} {}`",
                         wanted.host_path, kind, *there, *outside, *inside,
                         kind == "user" ? "chown" : "chgrp", *outside, wanted.host_path));
      }
    };
    const bool there = directory != state_.directories.end();
    compare("user", config.users, wanted.owner_uid,
            there ? std::optional(directory->second.uid) : std::nullopt, wanted.host_uid);
    compare("group", config.groups, wanted.owner_gid,
            there ? std::optional(directory->second.gid) : std::nullopt, wanted.host_gid);
  }

  void Add(const ContainerSpec& spec, const ContainerConfig& config, NewMount mount, const std::string& needs,
           bool there, const std::string& origin, ContainerStep& step) {
    const int number = FreeNumber(config, step);
    if (number == kMountNumbers) {
      Problem(origin,
              fmt::format("container {} has {} mount points already, more than which Proxmox VE does not "
                          "take",
                          spec.id, kMountNumbers));
      return;
    }
    mount.number = number;
    step.diffs.push_back({fmt::format("mp{}", number), "", MountValue(mount)});
    const kit::Requirement requirement{needs, there};
    bool known = false;
    for (const auto& other : step.requires_keys) known = known || other == requirement;
    if (!known) step.requires_keys.push_back(requirement);
    step.provides.push_back(kit::Key("container-mount", fmt::format("{}:{}", spec.id, mount.path)));
    step.mounts.push_back(std::move(mount));
  }

  // The lowest N that neither is in force nor waits, nor is taken by this plan.
  static int FreeNumber(const ContainerConfig& config, const ContainerStep& step) {
    for (int number = 0; number < kMountNumbers; ++number) {
      bool taken = config.mounts.count(number) != 0 || config.pending_mounts.count(number) != 0 ||
                   config.pending_removals.count(fmt::format("mp{}", number)) != 0;
      for (const NewMount& mount : step.mounts) taken = taken || mount.number == number;
      // A line that cannot be read holds its number as well; such a plan is refused in the end.
      if (!taken) return number;
    }
    return kMountNumbers;
  }

  const ContainersState& state_;
  ContainerPlan plan_;
  std::vector<FieldViolation> problems_;
};

}  // namespace

std::string SizeText(uint64_t bytes) {
  return bytes % kGib == 0 ? fmt::format("{} GiB", bytes / kGib) : fmt::format("{} bytes", bytes);
}

// As little below as pct can tell.
uint64_t QuotaBelow(uint64_t size) { return size - 1024; }

std::string MountValue(const NewMount& mount) {
  std::string value =
      mount.is_volume() ? fmt::format("{}:{}", mount.storage, mount.size_gib) : mount.host_path;
  value += ",mp=" + mount.path;
  if (mount.backup) value += *mount.backup ? ",backup=1" : ",backup=0";
  if (mount.read_only) value += ",ro=1";
  for (const auto& [name, option] : mount.options) value += fmt::format(",{}={}", name, option);
  return value;
}

absl::StatusOr<ContainerPlan> PlanContainers(const std::vector<ContainerSpec>& specs,
                                             const ContainersState& state) {
  return Planner(state).Make(specs);
}

}  // namespace phoenix::proxmox

#include "services/proxmox/domain/proxmox_planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/status/errors.h"
#include "services/kit/plan/keys.h"
#include "services/proxmox/domain/storage_remarks.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/domain/storage_spec_check.h"

namespace phoenix::proxmox {
namespace {

bool IsThere(const std::string& key, const Definition& definition, const ProxmoxState& state) {
  const std::string name(kit::NameOf(key));
  if (kit::KindOf(key) == "pool") return state.pools.count(name) != 0;
  if (kit::KindOf(key) == "dataset") {
    return std::any_of(state.mounts.begin(), state.mounts.end(),
                       [&](const Mount& m) { return m.type == "zfs" && m.source == name; });
  }
  if (kit::KindOf(key) == "path") {
    return MountPointOf(definition).empty() ? state.folders.count(name) != 0 : HasMount(state, name);
  }
  return false;
}

class Planner {
 public:
  Planner(const ProxmoxSpec& spec, const ProxmoxState& state, const PlanSurroundings& surroundings)
      : spec_(spec), state_(state), surroundings_(surroundings) {}

  absl::StatusOr<StoragePlan> Make() {
    auto mistakes = CheckSpec(spec_);
    if (!mistakes.empty()) {
      return WithViolations(InvalidArgument("{} in the declared storage entries: {}: {}",
                                            mistakes.size() == 1 ? "a mistake" : "mistakes",
                                            mistakes.front().field, mistakes.front().description),
                            mistakes);
    }
    if (!state_.installed) {
      WithoutProxmox();
      return std::move(plan_);
    }
    if (!state_.config.broken.empty()) {
      if (!spec_.storages.empty() || !spec_.containers.empty()) return Broken();
      plan_.notes.push_back({true, "file:/etc/pve/storage.cfg", Message(Broken())});
    }
    for (const StorageSpec& storage : spec_.storages) {
      if (storage.absent) {
        Absent(storage);
      } else {
        Present(storage);
      }
    }
    if (!plan_.steps.empty() && !state_.quorate) {
      return WithReason(
          FailedPrecondition("cluster {} has no quorum: /etc/pve is read-only, so storage entries cannot "
                             "change; bring the other nodes back (`pvecm status` names them) and plan again",
                             state_.cluster),
          {"NO_QUORUM", {{"cluster", state_.cluster}}});
    }
    ForeignKeys();
    if (!surroundings_.partial) Orphans();
    if (!plan_.steps.empty()) LostLines();
    if (problems_.empty()) return std::move(plan_);
    return WithViolations(
        FailedPrecondition("{}: {}{}", problems_.front().field, problems_.front().description,
                           problems_.size() == 1 ? "" : fmt::format(" (and {} more)", problems_.size() - 1)),
        problems_);
  }

 private:
  static std::string Place(const StorageSpec& spec) {
    return spec.origin.empty() ? "storages[" + spec.id + "]" : spec.origin;
  }

  void Problem(const StorageSpec& spec, std::string_view field, std::string text) {
    problems_.push_back(
        {field.empty() ? Place(spec) : fmt::format("{}.{}", Place(spec), field), std::move(text)});
  }

  void Warn(const std::string& id, std::string text) {
    plan_.notes.push_back({true, "storage:" + id, std::move(text)});
  }

  void Note(std::vector<kit::Note> notes) {
    plan_.notes.insert(plan_.notes.end(), std::make_move_iterator(notes.begin()),
                       std::make_move_iterator(notes.end()));
  }

  absl::Status Broken() const {
    return WithReason(
        FailedPrecondition("/etc/pve/storage.cfg is broken, so that every storage tool of the whole cluster "
                           "fails: {}. Repair or delete that section by hand (it needs all its required "
                           "options), check with `pvesm status`, and plan again",
                           Join(Words(state_.config.broken.begin(), state_.config.broken.end()), "; ")),
        {"STORAGE_CONFIG_BROKEN", {{"file", "/etc/pve/storage.cfg"}}});
  }

  void WithoutProxmox() {
    for (const StorageSpec& storage : spec_.storages) {
      if (storage.absent) continue;
      Warn(storage.id, "not registered: this node has no Proxmox VE (no /usr/sbin/pvesm)");
    }
  }

  const StorageEntry* Find(const std::string& id) const {
    const auto found = state_.config.entries.find(id);
    return found == state_.config.entries.end() ? nullptr : &found->second;
  }

  OwnedStorage Owned(const std::string& id) const {
    const auto found = surroundings_.owned.find(id);
    return found == surroundings_.owned.end() ? OwnedStorage{} : found->second;
  }

  void Present(const StorageSpec& spec) {
    const StorageEntry* entry = Find(spec.id);
    const Definition wanted = WantedDefinition(spec);
    if (entry == nullptr) {
      if (spec.type == kCifs && spec.options.count("username") != 0 && !CanLogIn(spec)) return;
      if (SharesNoFolder(spec, wanted, nullptr) && KeepsWrites(spec, wanted, nullptr))
        AddStep(spec, wanted, nullptr);
      return;
    }
    // What Phoenix added by itself is kept up where it made the entry; of others' entries only the declared
    // fields count.
    Definition compared = wanted;
    if (!Owned(spec.id).created && spec.options.count("is_mountpoint") == 0)
      compared.options.erase("is_mountpoint");
    const bool member = IsMember(*entry, state_.node);
    const std::string mount = member ? MountToNote(spec, *entry) : "";
    if (!mount.empty()) compared.options["mountpoint"] = mount;
    auto differences = Compare(*entry, compared);
    bool impossible = false;
    for (const Difference& difference : differences) {
      const std::string field = FieldOf(difference);
      if (difference.fixed) {
        Problem(
            spec, field,
            fmt::format(
                "storage '{}' is there with {} '{}', and Proxmox VE cannot change that. Declare {} '{}', or "
                "another id, or take the entry away yourself once no guest uses it (`pvesm remove {}`; its "
                "data "
                "stays)",
                spec.id, difference.field, difference.found, difference.field, difference.found, spec.id));
        impossible = true;
      } else if (difference.field == "username" && PasswordOf(spec) != PasswordState::kSame) {
        // Proxmox VE keeps the password file: the new user would log in with the former one's, at the next
        // mount.
        Problem(spec, field,
                fmt::format(
                    "storage '{}' logs in as '{}', not '{}', and Phoenix does not change the password of an "
                    "entry that is there. By hand: `pvesm set {} --username {} --password`, which asks for "
                    "it; then plan again",
                    spec.id, difference.found, difference.wanted, spec.id, difference.wanted));
        impossible = true;
      } else if (!member && state_.cluster.empty()) {
        Problem(spec, field,
                fmt::format("storage '{}' belongs to node {} with {} '{}', not '{}'; one entry has one "
                            "definition: declare "
                            "the same on every node, or another id",
                            spec.id, Join(entry->nodes, ", "), difference.field, difference.found,
                            difference.wanted));
        impossible = true;
      }
    }
    if (impossible || !SharesNoFolder(spec, compared, entry) || !KeepsWrites(spec, compared, entry)) return;
    const PasswordState password = spec.password_secret.empty() ? PasswordState::kNotGiven : PasswordOf(spec);
    Note(RemarksOnFound(spec, *entry, compared, password, state_));
    const std::string definition = DefinitionKeyOf(spec.id, After(entry, compared));
    if (!member) {
      AddStep(spec, compared, entry);
      // Its members change it first, in the same run: whether they do, the whole fleet's plan knows.
      if (!differences.empty()) plan_.steps.back().requires_keys.push_back({definition, false});
    } else if (!differences.empty()) {
      SetStep(spec, *entry, differences);
      // Until it is mounted there the former one is right.
      if (!mount.empty())
        plan_.steps.back().requires_keys.push_back({kit::Key("path", mount), HasMount(state_, mount)});
    } else if (!definition.empty()) {
      plan_.provided_now.push_back(definition);
    }
  }

  // What the entry is for all nodes of the cluster; "" on a node that shares it with none.
  std::string DefinitionKeyOf(const std::string& id, const Definition& definition) const {
    if (state_.cluster.empty()) return "";
    return kit::DefinitionKey(state_.cluster, kit::Key("storage", id), TextOf(definition));
  }

  static std::string PoolOf(const StorageSpec& spec) {
    return OptionOf({spec.type, {}, spec.options}, "pool");
  }

  // Whether this run moves the dataset of a zfspool entry to the mount point that is declared.
  bool Moves(const StorageSpec& spec) const {
    if (spec.type != kZfspool || spec.mount_point.empty()) return false;
    const std::string now = MountOfDataset(state_, PoolOf(spec));
    const auto& removed = surroundings_.removed_keys;
    return !now.empty() && now != spec.mount_point &&
           std::find(removed.begin(), removed.end(), kit::Key("path", now)) != removed.end();
  }

  // The mount point that a zfspool entry gets instead of the one that it notes; "" for none. One that this
  // run moves takes any entry along; what moved before is put right where Phoenix made the entry, for this
  // node.
  std::string MountToNote(const StorageSpec& spec, const StorageEntry& entry) const {
    if (spec.type != kZfspool || entry.type != kZfspool || spec.options.count("mountpoint") != 0) return "";
    const std::string noted = NotedMountPoint(DefinitionOf(entry));
    if (Moves(spec)) return noted == spec.mount_point ? "" : spec.mount_point;
    const std::string now = MountOfDataset(state_, PoolOf(spec));
    const bool own = Owned(spec.id).created && entry.nodes == Words{state_.node};
    return own && now != noted ? now : "";
  }

  PasswordState PasswordOf(const StorageSpec& spec) const {
    const auto found = surroundings_.passwords.find(spec.id);
    return found == surroundings_.passwords.end() ? PasswordState::kNotGiven : found->second;
  }

  // False, and a problem, where a new cifs entry with a user name would get no password.
  bool CanLogIn(const StorageSpec& spec) {
    const std::string by_hand = fmt::format(
        "make the entry once with `pvesm add cifs {} … --password`, which asks for it; then Phoenix manages "
        "its "
        "contents and options",
        spec.id);
    if (spec.password_secret.empty()) {
      Problem(spec, "options.username",
              fmt::format("a cifs entry with a user name needs a password: name the secret that holds it "
                          "(password_secret), or {}",
                          by_hand));
      return false;
    }
    if (!state_.has_api_token) {
      Problem(
          spec, "options.username",
          fmt::format("a password is handed over through the node's own API only, since pvesm takes it as an "
                      "argument that every process can read, and node {} has no token for the API. Make one "
                      "(`pveum user token add root@pam phoenix --privsep 0`) and put its id and value as one "
                      "line, root@pam!phoenix=VALUE, into /etc/phoenix/pve-token (mode 0600), or {}",
                      state_.node, by_hand));
      return false;
    }
    if (PasswordOf(spec) == PasswordState::kNotGiven) {
      Problem(
          spec, "options.username",
          fmt::format("the password is to be the secret '{}', which is not among the secrets that were given",
                      spec.password_secret));
      return false;
    }
    return true;
  }

  static std::string FieldOf(const Difference& difference) {
    const bool own = difference.field == "type" || difference.field == "content";
    return own ? difference.field : "options." + difference.field;
  }

  // False, and a problem, where the entry would newly hold what an entry that nobody declares holds in the
  // same folder; declared ones are compared with each other by CheckSpec().
  bool SharesNoFolder(const StorageSpec& spec, const Definition& wanted, const StorageEntry* entry) {
    Definition after = wanted;
    if (entry != nullptr && !after.content) after.content = entry->content;
    const std::string path = PathOf(spec.id, after);
    for (const auto& [id, other] : state_.config.entries) {
      const Definition definition = DefinitionOf(other);
      if (Declared(id) || !IsMember(other, state_.node) || path.empty() || PathOf(id, definition) != path)
        continue;
      const Words shared = SharedContent(after, definition);
      if (shared.empty()) continue;
      if (entry != nullptr && IsMember(*entry, state_.node) &&
          shared == SharedContent(DefinitionOf(*entry), definition)) {
        continue;
      }
      Problem(spec, "options.path", OneFolderText(path, id, shared));
      return false;
    }
    return true;
  }

  // False, and a problem, where the entry would newly lose what guests write; one that does already is told
  // of.
  bool KeepsWrites(const StorageSpec& spec, const Definition& wanted, const StorageEntry* entry) {
    if (!LosesWritesOfGuests(After(entry, wanted), state_)) return true;
    const bool before = entry != nullptr && IsMember(*entry, state_.node) &&
                        LosesWritesOfGuests(DefinitionOf(*entry), state_);
    if (before) return true;
    Problem(
        spec, "options.options",
        "it would mount an export of this very node softly, which loses writes of guests' disks whenever "
        "the server is slow: leave soft out, or keep no images and rootdir there; better declare a zfspool "
        "or dir entry on the dataset");
    return false;
  }

  void AddStep(const StorageSpec& spec, const Definition& wanted, const StorageEntry* entry) {
    StorageStep step;
    step.action = StorageAction::kAdd;
    step.id = spec.id;
    step.node = state_.node;
    step.definition = wanted;
    step.created = step.joined = true;
    step.extends = entry != nullptr;
    if (entry != nullptr) {
      step.created = Owned(spec.id).created;
      Words nodes = entry->nodes;
      nodes.insert(state_.node);
      step.diffs.push_back({"nodes", Join(entry->nodes), Join(nodes)});
    } else {
      step.diffs.push_back({"type", "", wanted.type});
      for (const auto& [name, value] : wanted.options) step.diffs.push_back({name, "", value});
      if (wanted.content) step.diffs.push_back({"content", "", Join(*wanted.content)});
      step.diffs.push_back({"nodes", "", state_.node});
    }
    step.definition_key = DefinitionKeyOf(spec.id, After(entry, wanted));
    const std::string ground = GroundOf(spec.id, wanted, state_);
    if (!ground.empty()) step.requires_keys.push_back({ground, IsThere(ground, wanted, state_)});
    // Only for the order: what another machine serves nobody here can promise.
    if (const std::string served = ServedElsewhere(wanted, state_); !served.empty())
      step.requires_keys.push_back({served, true});
    // pvesm notes where it is mounted then.
    if (Moves(spec)) step.requires_keys.push_back({kit::Key("path", spec.mount_point), false});
    if (entry == nullptr && !spec.password_secret.empty()) {
      step.password_secret = spec.password_secret;
      step.diffs.push_back({"password", "", "(secret)"});
      // Proxmox VE logs in at once.
      if (IsThisNode(OptionOf(wanted, "server"), state_))
        step.requires_keys.push_back({kit::Key("passdb", OptionOf(wanted, "username")), false});
    }
    NewFolders(entry, wanted, step);
    AfterTheFirstMount(wanted, step);
    Note(RemarksOnNew(spec, wanted, state_));
    plan_.steps.push_back(std::move(step));
  }

  // The folder of the mounts comes with the first of them and goes with its undo; for the others it is there.
  void AfterTheFirstMount(const Definition& wanted, StorageStep& step) {
    const std::string folder = FolderOfMount(step.id, wanted);
    if (folder.empty() || state_.folders.count(folder) != 0) return;
    const auto [first, is_first] = first_mounts_.emplace(folder, step.id);
    if (!is_first) step.requires_keys.push_back({kit::Key("storage", first->second), false});
  }

  // A dir entry that is in use makes its folders, in whatever file system is there.
  void NewFolders(const StorageEntry* entry, const Definition& wanted, StorageStep& step) const {
    if (entry != nullptr && entry->disabled) return;
    for (const std::string& path : PathsWritten(After(entry, wanted), state_.folders)) {
      step.disturbs.push_back(kit::Key("content", path));
    }
  }

  void SetStep(const StorageSpec& spec, const StorageEntry& entry,
               const std::vector<Difference>& differences) {
    const OwnedStorage owned = Owned(spec.id);
    StorageStep step;
    step.action = StorageAction::kSet;
    step.id = spec.id;
    step.node = state_.node;
    step.definition.type = spec.type;
    step.created = owned.created;
    step.joined = owned.joined;
    for (const Difference& difference : differences) {
      step.diffs.push_back({difference.field, difference.found, difference.wanted});
      if (difference.field == "content") {
        step.definition.content = spec.content;
      } else {
        step.definition.options[difference.field] = difference.wanted;
      }
    }
    step.definition_key = DefinitionKeyOf(spec.id, After(&entry, step.definition));
    // Only other contents bring other folders.
    if (step.definition.content) NewFolders(&entry, step.definition, step);
    plan_.steps.push_back(std::move(step));
  }

  void Absent(const StorageSpec& spec) {
    const StorageEntry* entry = Find(spec.id);
    if (entry == nullptr || entry->implicit || !IsMember(*entry, state_.node)) return;
    if (!Owned(spec.id).joined) {
      Problem(
          spec, "state",
          fmt::format(
              "storage '{}' was not made by Phoenix, so Phoenix does not remove it; take it away yourself "
              "(`pvesm remove {}`) or leave it out of the configuration",
              spec.id, spec.id));
      return;
    }
    const auto users = state_.users.find(spec.id);
    if (users != state_.users.end() && !users->second.empty()) {
      Problem(spec, "state",
              fmt::format("storage '{}' is in use by {}; move or remove those volumes first", spec.id,
                          Join(Words(users->second.begin(), users->second.end()), ", ")));
      return;
    }
    if (entry->nodes.empty() && !state_.cluster.empty()) {
      Problem(spec, "state",
              fmt::format("storage '{}' belongs to all nodes of cluster {} by now; restrict it first (`pvesm "
                          "set {} --nodes "
                          "{}`) or take it away yourself",
                          spec.id, state_.cluster, spec.id, state_.node));
      return;
    }
    StorageStep step;
    step.action = StorageAction::kRemove;
    step.id = spec.id;
    step.node = state_.node;
    step.definition = DefinitionOf(*entry);
    step.created = step.joined = true;
    Words rest = entry->nodes;
    rest.erase(state_.node);
    step.extends = !rest.empty();
    if (step.extends) {
      step.diffs.push_back({"nodes", Join(entry->nodes), Join(rest)});
    } else {
      step.diffs.push_back({"type", entry->type, ""});
      for (const auto& [name, value] : entry->options) step.diffs.push_back({name, value, ""});
      step.diffs.push_back({"content", Join(entry->content), ""});
      step.diffs.push_back({"nodes", Join(entry->nodes), ""});
    }
    const std::string path = PathOf(spec.id, step.definition);
    if (IsNetwork(step.definition) && HasMount(state_, path)) {
      Warn(spec.id, fmt::format("stays mounted at {}, as Proxmox VE leaves it, until somebody takes it away "
                                "(`umount {}`) or the node starts anew",
                                path, path));
    }
    // Only so that it goes before what it stands on, and comes back after it; nothing is needed for going.
    const std::string ground = GroundOf(spec.id, step.definition, state_);
    if (!ground.empty()) step.requires_keys.push_back({ground, true});
    plan_.steps.push_back(std::move(step));
  }

  // Second planning round: keys that others make unusable or remove.
  void ForeignKeys() {
    for (const auto& [id, entry] : state_.config.entries) {
      if (!IsMember(entry, state_.node) || entry.implicit || Leaves(id)) continue;
      const Definition definition = DefinitionOf(entry);
      for (const std::string& key : surroundings_.removed_keys) {
        if (!StandsOn(id, definition, key)) continue;
        problems_.push_back(
            {"storages[" + id + "]",
             fmt::format("{} is to be removed, but storage '{}' stands on it; declare the entry absent as "
                         "well, or keep {}",
                         key, id, key)});
      }
      for (const std::string& key : surroundings_.disturbed_keys) {
        if (StandsOn(id, definition, key)) {
          Warn(id, fmt::format("stands on {}, which this run makes briefly unusable", key));
        }
      }
    }
  }

  bool Leaves(const std::string& id) const {
    return std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const StorageStep& step) {
      return step.id == id && step.action == StorageAction::kRemove;
    });
  }

  bool StandsOn(const std::string& id, const Definition& definition, const std::string& key) const {
    if (kit::KindOf(key) == "pool" && definition.type == kZfspool) {
      const std::string pool = OptionOf(definition, "pool");
      return pool.substr(0, pool.find('/')) == kit::NameOf(key);
    }
    if (kit::KindOf(key) == "path") {
      const std::string path = PathOf(id, definition);
      return definition.type == kDir && kit::Satisfies(key, "path:" + path);
    }
    return GroundOf(id, definition, state_) == key;
  }

  void Orphans() {
    for (const auto& [id, owned] : surroundings_.owned) {
      if (!owned.joined || Declared(id)) continue;
      const StorageEntry* entry = Find(id);
      if (entry != nullptr && IsMember(*entry, state_.node)) {
        Warn(id,
             "orphaned: Phoenix created it and the configuration does not name it any more; it stays. "
             "Declare it with "
             "\"proxmox_storage_state\": \"absent\", or run with --prune storages, to remove it");
      } else {
        Warn(id,
             "orphaned: Phoenix created it, the configuration does not name it any more, and somebody "
             "removed it");
      }
    }
  }

  bool Declared(const std::string& id) const {
    return std::any_of(spec_.storages.begin(), spec_.storages.end(),
                       [&](const StorageSpec& s) { return s.id == id; });
  }

  void LostLines() {
    for (const std::string& line : state_.config.lost) {
      plan_.notes.push_back({true, "file:/etc/pve/storage.cfg",
                             "is lost as soon as any Proxmox tool rewrites the file, as these steps make it "
                             "do (unless a plugin of "
                             "another maker knows that type): " +
                                 line});
    }
  }

  const ProxmoxSpec& spec_;
  const ProxmoxState& state_;
  // Storages that bring the folder of their mounts, by that folder.
  std::map<std::string, std::string, std::less<>> first_mounts_;
  const PlanSurroundings& surroundings_;
  StoragePlan plan_;
  std::vector<FieldViolation> problems_;
};

}  // namespace

Definition WantedDefinition(const StorageSpec& spec) {
  Definition definition{spec.type, std::nullopt, spec.options};
  if (!spec.content.empty()) definition.content = spec.content;
  if (spec.type == kDir) definition.options.emplace("is_mountpoint", "1");
  return Normal(std::move(definition));
}

std::string GroundOf(const std::string& id, const Definition& definition, const ProxmoxState& state) {
  if (definition.type == kZfspool) {
    const std::string pool = OptionOf(definition, "pool");
    return kit::Key(pool.find('/') == std::string::npos ? "pool" : "dataset", pool);
  }
  if (definition.type == kDir) {
    const std::string mount = MountPointOf(definition);
    return kit::Key("path", mount.empty() ? PathOf(id, definition) : mount);
  }
  if (definition.type == kNfs && IsThisNode(OptionOf(definition, "server"), state)) {
    return kit::Key("export", OptionOf(definition, "export"));
  }
  if (definition.type == kCifs && IsThisNode(OptionOf(definition, "server"), state)) {
    return kit::Key("share", OptionOf(definition, "share"));
  }
  return "";
}

std::string ServedElsewhere(const Definition& definition, const ProxmoxState& state) {
  const std::string server = OptionOf(definition, "server");
  if (!IsNetwork(definition) || IsThisNode(server, state)) return "";
  return kit::RemoteKey(server, definition.type == kNfs ? kit::Key("export", OptionOf(definition, "export"))
                                                        : kit::Key("share", OptionOf(definition, "share")));
}

void AddOrphans(ProxmoxSpec& spec, const OwnedStorages& owned) {
  if (!spec.prune_storages || spec.partial) return;
  std::set<std::string> declared;
  for (const StorageSpec& storage : spec.storages) declared.insert(storage.id);
  for (const auto& [id, known] : owned) {
    if (!known.joined || declared.count(id) > 0) continue;
    StorageSpec storage;
    storage.id = id;
    storage.absent = true;
    storage.origin = "--prune storages";
    spec.storages.push_back(std::move(storage));
  }
}

absl::StatusOr<StoragePlan> PlanStorages(const ProxmoxSpec& spec, const ProxmoxState& state,
                                         const PlanSurroundings& surroundings) {
  return Planner(spec, state, surroundings).Make();
}

}  // namespace phoenix::proxmox

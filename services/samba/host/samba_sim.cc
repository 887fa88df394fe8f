#include "services/samba/host/samba_sim.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/host/node_sim.h"
#include "services/samba/domain/loopback_login.h"
#include "services/samba/domain/nt_hash.h"
#include "services/samba/host/sim_testparm.h"

namespace phoenix::samba {
namespace {

using nlohmann::json;

constexpr uint32_t kFirstUid = 1000;
constexpr int64_t kFirstPasswordTime = 1'700'000'000;
// Where the simulated machine's passwords would have been set before anything of ours.
constexpr char kNologin[] = "/usr/sbin/nologin";

absl::Status Exit(std::string_view command, int code, std::string_view words) {
  return Internal("`{}` failed with exit code {}: {}", command, code, words);
}

// Runs `body` unless a fault is planned for the operation or for it on this object.
absl::Status Faulty(kit::World& world, const std::string& operation, const std::string& object,
                    absl::Status& answer, const std::function<absl::Status()>& body) {
  PHX_ASSIGN_OR_RETURN(auto fault, world.TakeFault(operation + ":" + object));
  if (!fault) {
    PHX_ASSIGN_OR_RETURN(fault, world.TakeFault(operation));
  }
  if (fault && *fault == "nothing") return absl::OkStatus();
  // The transaction must stay, so that the fault is used up: the failure is the answer, not the transaction's
  // end.
  if (fault && *fault == "fail") {
    answer = Internal("{} {}: planned fault", operation, object);
    return absl::OkStatus();
  }
  answer = body();
  if (fault && *fault == "lie" && answer.ok())
    answer = Internal("{} {}: planned fault after its effect", operation, object);
  return absl::OkStatus();
}

json ToJson(const Account& account) {
  return {{"uid", account.uid},
          {"gid", account.gid},
          {"comment", account.comment},
          {"home", account.home},
          {"shell", account.shell}};
}

Account ToAccount(const std::string& name, const json& value) {
  return {name,
          value.value("uid", 0u),
          value.value("gid", 0u),
          value.value("comment", ""),
          value.value("home", ""),
          value.value("shell", "")};
}

// The lowest number, from 1000, that neither an account nor a group has.
absl::StatusOr<uint32_t> FreeId(kit::World& world) {
  std::set<uint32_t> taken;
  for (const char* kind : {"user", "group"}) {
    PHX_ASSIGN_OR_RETURN(const auto objects, world.List(kind));
    for (const auto& [name, value] : objects) {
      taken.insert(value.value("uid", 0u));
      taken.insert(value.value("gid", 0u));
    }
  }
  uint32_t id = kFirstUid;
  while (taken.count(id) > 0) ++id;
  return id;
}

absl::Status LeaveGroups(kit::World& world, const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const auto groups, world.List("group"));
  for (const auto& [group, value] : groups) {
    auto members = value.value("members", std::vector<std::string>());
    if (std::erase(members, name) == 0) continue;
    json left = value;
    left["members"] = members;
    PHX_RETURN_IF_ERROR(world.Put("group", group, left));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadText(kit::World& world, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const auto file, world.ReadFile(path));
  if (!file || file->directory) return NotFound("{}: No such file or directory", path);
  return file->state.content;
}

absl::Status MustBeInstalled(kit::World& world, std::string_view tool) {
  PHX_ASSIGN_OR_RETURN(const bool installed, node::IsInstalled(world, "samba"));
  return installed ? absl::OkStatus() : Internal("cannot start /usr/bin/{}: No such file or directory", tool);
}

// testparm over the world's files, with `own_text` in place of our file where it is given.
absl::StatusOr<CheckedConfig> Testparm(kit::World& world, const SambaPaths& paths,
                                       const std::optional<std::string>& own_text) {
  PHX_RETURN_IF_ERROR(MustBeInstalled(world, "testparm"));
  const auto smb_conf = ReadText(world, paths.smb_conf);
  if (!smb_conf.ok()) return CheckedConfig{false, {"Error loading services."}, {}};
  const bool add = own_text && !Includes(*smb_conf, paths.own_file);
  return SimTestparm(add ? AddInclude(*smb_conf, paths.own_file) : *smb_conf,
                     [&](const std::string& path) -> std::optional<std::string> {
                       if (own_text && path == paths.own_file) return own_text;
                       const auto text = ReadText(world, path);
                       return text.ok() ? std::optional(*text) : std::nullopt;
                     });
}

// What smbd looks at when it is asked whether a user may stay. A share that it reads no more keeps its users.
bool LetsIn(const ConfigDump& dump, const std::string& share, const std::string& user) {
  const auto section = dump.shares.find(ShareKey(share));
  if (section == dump.shares.end()) return true;
  const auto names = [&](const char* list) {
    const auto found = section->second.parameters.find(list);
    return found == section->second.parameters.end() ? std::vector<std::string>() : Words(found->second);
  };
  // By the name that it works under, not the one that logged in.
  const std::vector<std::string> forced = names("force user");
  const auto has = [&](const std::vector<std::string>& list) {
    return std::count(list.begin(), list.end(), forced.empty() ? user : forced.front()) > 0;
  };
  const std::vector<std::string> valid = names("valid users");
  return (valid.empty() || has(valid)) && !has(names("invalid users"));
}

}  // namespace

absl::StatusOr<std::string> SambaSim::Version() {
  std::string version;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const bool installed, node::IsInstalled(world, "samba"));
    version = installed ? "4.17.12-Sim" : "";
    return absl::OkStatus();
  }));
  return version;
}

absl::StatusOr<std::optional<Account>> SambaSim::FindAccount(const std::string& name) {
  std::optional<Account> account;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto value, world.Get("user", name));
    if (value) account = ToAccount(name, *value);
    return absl::OkStatus();
  }));
  return account;
}

absl::StatusOr<std::optional<uint32_t>> SambaSim::FindGroup(const std::string& name) {
  std::optional<uint32_t> gid;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto value, world.Get("group", name));
    if (value) gid = value->value("gid", 0u);
    return absl::OkStatus();
  }));
  return gid;
}

absl::Status SambaSim::AddAccount(const std::string& name, const std::string& comment, const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.useradd", name, answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto there, world.Get("user", name));
      if (there) return Exit("useradd", 9, fmt::format("useradd: user '{}' already exists", name));
      PHX_ASSIGN_OR_RETURN(const uint32_t id, FreeId(world));
      uint32_t gid = id;
      PHX_ASSIGN_OR_RETURN(const auto group, world.Get("group", name));
      if (group) gid = group->value("gid", 0u);
      if (!group) PHX_RETURN_IF_ERROR(world.Put("group", name, {{"gid", id}}));
      return world.Put("user", name, ToJson({name, id, gid, comment, "/nonexistent", kNologin}));
    });
  }));
  return answer;
}

absl::Status SambaSim::RestoreAccount(const Account& account, const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.useradd", account.name, answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto there, world.Get("user", account.name));
      if (there) return Exit("useradd", 9, fmt::format("useradd: user '{}' already exists", account.name));
      return world.Put("user", account.name, ToJson(account));
    });
  }));
  return answer;
}

absl::Status SambaSim::AddGroup(const std::string& name, uint32_t gid, const ChildObserver&) {
  return machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto there, world.Get("group", name));
    if (there) return Exit("groupadd", 9, fmt::format("groupadd: group '{}' already exists", name));
    return world.Put("group", name, {{"gid", gid}});
  });
}

absl::Status SambaSim::RemoveAccount(const std::string& name, const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.userdel", name, answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto there, world.Get("user", name));
      if (!there) return Exit("userdel", 6, fmt::format("userdel: user '{}' does not exist", name));
      PHX_RETURN_IF_ERROR(world.Delete("user", name));
      PHX_RETURN_IF_ERROR(LeaveGroups(world, name));
      PHX_ASSIGN_OR_RETURN(const auto group, world.Get("group", name));
      const bool own = group && group->value("gid", 0u) == there->value("gid", 0u) &&
                       group->value("members", json::array()).empty();
      return own ? world.Delete("group", name) : absl::OkStatus();
    });
  }));
  return answer;
}

absl::Status SambaSim::RemoveGroup(const std::string& name, const ChildObserver&) {
  return machine_->Change([&](kit::World& world) { return world.Delete("group", name); });
}

absl::StatusOr<std::vector<uint32_t>> SambaSim::GroupsOf(const std::string& name) {
  std::vector<uint32_t> gids;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto groups, world.List("group"));
    for (const auto& [group, value] : groups) {
      const auto members = value.value("members", std::vector<std::string>());
      if (std::count(members.begin(), members.end(), name) > 0) gids.push_back(value.value("gid", 0u));
    }
    return absl::OkStatus();
  }));
  std::sort(gids.begin(), gids.end());
  return gids;
}

absl::Status SambaSim::JoinGroups(const std::string& name, const std::vector<uint32_t>& gids,
                                  const ChildObserver&) {
  return machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto groups, world.List("group"));
    for (const auto& [group, value] : groups) {
      if (std::count(gids.begin(), gids.end(), value.value("gid", 0u)) == 0) continue;
      auto members = value.value("members", std::vector<std::string>());
      if (std::count(members.begin(), members.end(), name) > 0) continue;
      members.push_back(name);
      json joined = value;
      joined["members"] = members;
      PHX_RETURN_IF_ERROR(world.Put("group", group, joined));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::optional<std::string>> SambaSim::FindFileOf(uint32_t uid,
                                                                const std::vector<std::string>& paths) {
  std::optional<std::string> found;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    for (const std::string& path : paths) {
      PHX_ASSIGN_OR_RETURN(auto below, world.FilesBelow(path));
      below.push_back(path);
      for (const std::string& candidate : below) {
        PHX_ASSIGN_OR_RETURN(const auto file, world.ReadFile(candidate));
        if (!found && file && file->state.uid == uid) found = candidate;
      }
    }
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::map<std::string, PassdbEntry>> SambaSim::ReadPassdb() {
  std::map<std::string, PassdbEntry> entries;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const bool installed, node::IsInstalled(world, "samba"));
    if (!installed) return absl::OkStatus();
    PHX_ASSIGN_OR_RETURN(const auto objects, world.List("passdb"));
    for (const auto& [name, value] : objects) {
      entries[name] = {value.value("last_set", int64_t{0}), Secret(value.value("nt", "")),
                       value.value("flags", "")};
    }
    return absl::OkStatus();
  }));
  return entries;
}

absl::Status SambaSim::AddEntry(const std::string& name, const Secret& password, const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_RETURN_IF_ERROR(MustBeInstalled(world, "smbpasswd"));
    return Faulty(world, "samba.smbpasswd", name, answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto account, world.Get("user", name));
      if (!account) return Exit("smbpasswd", 1, fmt::format("Failed to add entry for user {}.", name));
      PHX_ASSIGN_OR_RETURN(const int64_t tick, world.NextNumber());
      PHX_ASSIGN_OR_RETURN(const auto clock, world.Get("clock", "samba"));
      PHX_ASSIGN_OR_RETURN(const auto there, world.Get("passdb", name));
      json entry = there.value_or(json{{"flags", "[U          ]"}});
      entry["nt"] = NtHash(password).Reveal();
      entry["last_set"] = clock ? clock->value("seconds", int64_t{0}) : kFirstPasswordTime + tick;
      return world.Put("passdb", name, entry);
    });
  }));
  return answer;
}

absl::Status SambaSim::SetPassword(const std::string& name, const Secret& password,
                                   const ChildObserver& observer) {
  bool there = false;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto entry, world.Get("passdb", name));
    there = entry.has_value();
    return absl::OkStatus();
  }));
  if (!there) return Exit("smbpasswd", 1, fmt::format("Failed to find entry for user {}.", name));
  return AddEntry(name, password, observer);
}

absl::Status SambaSim::RemoveEntry(const std::string& name, const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_RETURN_IF_ERROR(MustBeInstalled(world, "pdbedit"));
    return Faulty(world, "samba.pdbedit", name, answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto there, world.Get("passdb", name));
      if (!there) return Exit("pdbedit", 255, fmt::format("user {} does not exist in the passdb", name));
      return world.Delete("passdb", name);
    });
  }));
  return answer;
}

absl::StatusOr<Secret> SambaSim::ExportEntry(const std::string& name) {
  Secret exported;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto there, world.Get("passdb", name));
    if (!there) return NotFound("{} has no entry in passdb", name);
    exported = Secret(there->dump());
    return absl::OkStatus();
  }));
  return exported;
}

absl::Status SambaSim::ImportEntry(const std::string& name, const Secret& exported) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.import", name, answer, [&]() -> absl::Status {
      const json entry = json::parse(exported.Reveal(), nullptr, false);
      if (!entry.is_object()) return DataLoss("this is no exported entry of {}", name);
      return world.Put("passdb", name, entry);
    });
  }));
  return answer;
}

absl::StatusOr<CheckedConfig> SambaSim::ReadConfig() {
  CheckedConfig config;
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(config, Testparm(world, paths_, std::nullopt));
    return absl::OkStatus();
  }));
  return config;
}

absl::StatusOr<CheckedConfig> SambaSim::CheckConfig(const std::string& own_text) {
  CheckedConfig config;
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.check", "", answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(config, Testparm(world, paths_, own_text));
      return absl::OkStatus();
    });
  }));
  PHX_RETURN_IF_ERROR(answer);
  return config;
}

absl::Status SambaSim::PutFile(const std::string& change, const std::string& path, const FileState& file) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    const auto colon = change.find(':');
    const std::string object = colon == std::string::npos ? "" : change.substr(colon + 1);
    return Faulty(world, "samba." + change.substr(0, colon), object, answer, [&]() -> absl::Status {
      PHX_ASSIGN_OR_RETURN(const auto parent, world.ReadFile(path.substr(0, path.rfind('/'))));
      if (!parent || !parent->directory) return NotFound("{}: No such file or directory", path);
      return world.WriteFile(path, {false, file});
    });
  }));
  return answer;
}

absl::Status SambaSim::Reload(const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.reload", "", answer, [] { return absl::OkStatus(); });
  }));
  return answer;
}

absl::Status SambaSim::EndSessions(const std::string& share, Cut whom, const ChildObserver&) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    return Faulty(world, "samba.end-sessions", share, answer, [&]() -> absl::Status {
      if (whom == Cut::kNobody) return absl::OkStatus();
      PHX_ASSIGN_OR_RETURN(const auto config, Testparm(world, paths_, std::nullopt));
      PHX_ASSIGN_OR_RETURN(const auto sessions, world.List("samba.session"));
      for (const auto& [name, session] : sessions) {
        if (ShareKey(session.value("share", "")) != ShareKey(share)) continue;
        const bool ends = whom == Cut::kEverybody ||
                          !LetsIn(config.dump, session.value("share", ""), session.value("user", ""));
        if (ends) PHX_RETURN_IF_ERROR(world.Delete("samba.session", name));
      }
      return absl::OkStatus();
    });
  }));
  return answer;
}

absl::StatusOr<MountState> SambaSim::MountOf(const std::string& path) {
  MountState mount{"/", "ext4", true};
  PHX_RETURN_IF_ERROR(machine_->Look([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const auto datasets, world.List("zfs.dataset"));
    std::string holder;
    for (const auto& [name, dataset] : datasets) {
      const std::string place = dataset.value("mounted", "");
      const bool holds = !place.empty() && (path == place || path.starts_with(place + "/"));
      if (!holds || place.size() < mount.mount_point.size()) continue;
      mount = {place, "zfs", false};
      holder = name;
    }
    // As ZFS inherits it: off, unless the nearest that says something says posix.
    while (!holder.empty()) {
      PHX_ASSIGN_OR_RETURN(const auto dataset, world.Get("zfs.dataset", holder));
      const std::string type = dataset ? dataset->value("local", json::object()).value("acltype", "") : "";
      if (!type.empty()) mount.keeps_acls = type == "posix" || type == "posixacl";
      const auto slash = holder.rfind('/');
      holder = slash == std::string::npos || !type.empty() ? "" : holder.substr(0, slash);
    }
    return absl::OkStatus();
  }));
  return mount;
}

absl::Status SambaSim::TryLogin(const LoginProbe& probe, const Secret& password) {
  absl::Status answer;
  PHX_RETURN_IF_ERROR(machine_->Change([&](kit::World& world) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(const bool client, node::IsInstalled(world, "smbclient"));
    PHX_ASSIGN_OR_RETURN(const bool active, node::IsActive(world, "smbd.service"));
    return Faulty(world, "samba.login", probe.share, answer, [&]() -> absl::Status {
      if (!client) return FailedPrecondition("smbclient is not installed");
      if (!active)
        return Unavailable("do_connect: Connection to 127.0.0.1 failed (Error NT_STATUS_CONNECTION_REFUSED)");
      PHX_ASSIGN_OR_RETURN(const auto entry, world.Get("passdb", probe.user));
      if (!entry || entry->value("nt", "") != NtHash(password).Reveal()) {
        return PermissionDenied("session setup failed: NT_STATUS_LOGON_FAILURE");
      }
      PHX_ASSIGN_OR_RETURN(const auto config, Testparm(world, paths_, std::nullopt));
      const auto share = config.dump.shares.find(ShareKey(probe.share));
      if (share == config.dump.shares.end())
        return NotFound("tree connect failed: NT_STATUS_BAD_NETWORK_NAME");
      if (!WhyLoopbackIsShutOut(config.dump, probe.share).empty())
        return PermissionDenied("tree connect failed: NT_STATUS_ACCESS_DENIED");
      const auto value = [&](const std::string& name) {
        const auto found = share->second.parameters.find(name);
        return found != share->second.parameters.end() ? found->second : config.dump.globals.at(name);
      };
      // testparm finds nothing wrong with modules that are not there; smbd does.
      PHX_ASSIGN_OR_RETURN(const bool modules, node::IsInstalled(world, "samba-vfs-modules"));
      if (!modules && !value("vfs objects").empty())
        return NotFound("tree connect failed: NT_STATUS_BAD_NETWORK_NAME");
      const std::string users = value("valid users");
      if (!users.empty() && (" " + users + " ").find(" " + probe.user + " ") == std::string::npos) {
        return PermissionDenied("tree connect failed: NT_STATUS_ACCESS_DENIED");
      }
      PHX_ASSIGN_OR_RETURN(const auto directory, world.ReadFile(value("path")));
      if (!directory || !directory->directory)
        return NotFound("tree connect failed: NT_STATUS_BAD_NETWORK_NAME");
      if (!probe.write.empty() && value("read only") == "Yes") {
        return PermissionDenied("NT_STATUS_ACCESS_DENIED opening remote file \\{}", probe.write);
      }
      if (!probe.write.empty() && IsVetoed(config.dump, probe.share, probe.write))
        return NotFound("NT_STATUS_OBJECT_NAME_NOT_FOUND opening remote file \\{}", probe.write);
      return absl::OkStatus();
    });
  }));
  return answer;
}

}  // namespace phoenix::samba

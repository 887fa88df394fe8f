#include "services/samba/domain/samba_planner.h"

#include <algorithm>
#include <ctime>
#include <set>

#include "services/kit/plan/keys.h"

namespace phoenix::samba {
namespace {

using kit::Key;

class Planner {
 public:
  explicit Planner(const PlanQuestion& question)
      : q_(question), state_(question.state), spec_(question.spec) {
    plan_.own_after = state_.own;
  }

  SambaPlan Run() {
    Files();
    for (const UserSpec& user : spec_.users) user.absent ? RemoveUser(user) : WantUser(user);
    Globals();
    for (const ShareSpec& share : spec_.shares) share.absent ? UnwantShare(share) : WantShare(share);
    if (!spec_.partial) Orphans();
    if (touches_own_ && !state_.own_is_ours) {
      Report(
          "samba",
          fmt::format("{} was changed by hand and holds what Phoenix would lose: move settings of your own "
                      "into {}, then delete the file or put Phoenix's text back",
                      q_.paths.own_file, q_.paths.smb_conf));
    }
    return std::move(plan_);
  }

 private:
  bool WantsAnything() const {
    const auto present = [](const auto& wanted) { return !wanted.absent; };
    return std::any_of(spec_.shares.begin(), spec_.shares.end(), present) ||
           std::any_of(spec_.users.begin(), spec_.users.end(), present);
  }
  bool WantsConfig() const {
    return std::any_of(spec_.shares.begin(), spec_.shares.end(),
                       [](const auto& share) { return !share.absent; }) ||
           (WantsAnything() && !spec_.globals.empty());
  }

  void Report(const std::string& field, const std::string& description) {
    plan_.violations.push_back({field, description});
  }
  void Tell(bool warning, const std::string& resource, const std::string& text) {
    plan_.notes.push_back({warning, resource, text});
  }
  bool Created(const std::string& key) const {
    const auto fact = q_.ledger.find(key);
    return fact != q_.ledger.end() && fact->second.created;
  }

  kit::Requirement NeedPackage() const { return {Key("package", "samba"), state_.installed}; }
  kit::Requirement NeedOwnFile() const {
    return {Key("file", q_.paths.own_file), state_.own_text.has_value()};
  }
  kit::Requirement NeedInclude() const { return {Key("include", q_.paths.smb_conf), state_.included}; }
  kit::Requirement NeedAccount(const std::string& name) const {
    return {Key("user", name), state_.accounts.count(name) > 0};
  }
  kit::Requirement NeedEntry(const std::string& name) const {
    return {Key("passdb", name), state_.entries.count(name) > 0};
  }

  void Files() {
    if (!WantsConfig()) return;
    if (state_.installed && !state_.smb_conf) {
      Report("samba", fmt::format("Samba is installed, but {} is missing: put the package's one back "
                                  "(/usr/share/samba/smb.conf)",
                                  q_.paths.smb_conf));
    }
    if (!state_.own_text) {
      plan_.steps.push_back({MakeOwnFile{}, {{"file", "", "written by Phoenix"}}, {NeedPackage()}});
    }
    if (!state_.included) {
      plan_.steps.push_back(
          {IncludeOwnFile{}, {{"include", "", q_.paths.own_file}}, {NeedPackage(), NeedOwnFile()}});
    }
  }

  std::vector<std::string> PathsOf(const std::string& user) const {
    std::vector<std::string> paths;
    for (const ShareSpec& share : spec_.shares) {
      if (share.absent || std::count(share.valid_users.begin(), share.valid_users.end(), user) == 0) continue;
      paths.push_back(share.path);
    }
    return paths;
  }

  void WantUser(const UserSpec& user) {
    if (state_.accounts.count(user.name) == 0) {
      plan_.steps.push_back({AddAccount{user.name, PathsOf(user.name)},
                             {{"account", "", "system account, no login shell"}},
                             {}});
    }
    const auto entry = state_.entries.find(user.name);
    const bool there = entry != state_.entries.end();
    const auto wanted = q_.secrets.find(user.password_secret);
    if (user.password_secret.empty() || wanted == q_.secrets.end()) {
      if (!there) {
        const std::string secret =
            user.password_secret.empty() ? "samba/users/" + user.name : user.password_secret;
        Report(
            user.origin + ".password",
            fmt::format("the user '{}' needs a password, since Samba does not know it: the secret '{}' was "
                        "not given; put it into the secrets file (--secrets), or add the user by hand "
                        "(smbpasswd -a {})",
                        user.name, secret, user.name));
      } else {
        Tell(false, user.name, "password: not compared, its secret was not given");
      }
      return;
    }
    if (there && entry->second.mac == wanted->second) {
      Tell(false, user.name, "password: unchanged");
      return;
    }
    if (there && !state_.passdb_restorable) {
      Report(user.origin + ".password",
             fmt::format("the password of '{}' would change, but passdb is no tdb file: the former one "
                         "could not be put back; change it by hand",
                         user.name));
      return;
    }
    const SetPassword step{user.name, user.password_secret, wanted->second, !there,
                           !there || Created(Key("passdb", user.name))};
    const std::string before = there ? fmt::format("(set {})", TimeText(entry->second.last_set)) : "";
    plan_.steps.push_back(
        {step, {{"password", before, "(new value)"}}, {NeedPackage(), NeedAccount(user.name)}});
  }

  void RemoveUser(const UserSpec& user) {
    if (state_.entries.count(user.name) > 0) {
      if (!Created(Key("passdb", user.name))) {
        return Report(user.origin,
                      fmt::format("the Samba user '{}' was not created by Phoenix, so Phoenix does not "
                                  "remove it",
                                  user.name));
      }
      if (!state_.passdb_restorable) {
        return Report(user.origin,
                      fmt::format("'{}' could not be put back: passdb is no tdb file", user.name));
      }
      plan_.steps.push_back(
          {RemoveEntry{user.name}, {{"password", "(set)", ""}}, {NeedPackage(), NeedAccount(user.name)}});
      // A share that lists the user loses it, and ends its sessions; of other shares smbd asks nothing anew.
      Tell(true, user.name,
           fmt::format(
               "a session that '{}' has by a group, or with a share that is open to all users, goes on: "
               "smbstatus -u {} names its process, smbcontrol PID shutdown ends it. As long as it works for "
               "that user the "
               "account cannot go, and the run is undone",
               user.name, user.name));
    }
    const auto account = state_.accounts.find(user.name);
    if (account == state_.accounts.end()) return;
    const auto fact = q_.ledger.find(Key("user", user.name));
    if (fact == q_.ledger.end() || !fact->second.created) {
      return Tell(false, user.name, "the system account stays: Phoenix did not create it");
    }
    if (fact->second.identity != std::to_string(account->second.uid)) {
      return Report(user.origin,
                    fmt::format("the account '{}' has uid {}, Phoenix created it with {}: somebody made it "
                                "anew",
                                user.name, account->second.uid, fact->second.identity));
    }
    plan_.steps.push_back({RemoveAccount{user.name, fact->second.identity},
                           {{"account", fmt::format("uid {}", account->second.uid), ""}},
                           {NeedAccount(user.name)}});
  }

  void Globals() {
    if (!WantsConfig() || spec_.globals.empty()) return;
    Parameters wanted = state_.own.globals;
    std::vector<kit::FieldDiff> diffs;
    for (const auto& [name, value] : spec_.globals) {
      const auto own = wanted.find(name);
      if (own != wanted.end() && SameValue(name, own->second, value)) {
        NoteOverridden(name, value);
        continue;
      }
      const auto effective = state_.live.globals.find(name);
      if (own == wanted.end() && effective != state_.live.globals.end() &&
          IsByHand(name, effective->second)) {
        NoteByHand(name, effective->second, value);
        continue;
      }
      const std::string before = own != wanted.end()                      ? own->second
                                 : effective != state_.live.globals.end() ? effective->second
                                                                          : "";
      diffs.push_back({name, before, value});
      wanted[name] = value;
    }
    if (diffs.empty()) return;
    touches_own_ = true;
    plan_.own_after.globals = wanted;
    plan_.steps.push_back({SetGlobals{wanted}, diffs, {NeedPackage(), NeedOwnFile(), NeedInclude()}});
  }

  // Nobody asked for it, and smb.conf has another value than Samba itself would take.
  bool IsByHand(const std::string& name, const std::string& value) const {
    if (spec_.usual_globals.count(name) == 0 || SameValue(name, value, spec_.globals.at(name))) return false;
    return name != "server min protocol" || !SameValue(name, value, "SMB2_02");
  }

  void NoteByHand(const std::string& name, const std::string& found, const std::string& usual) {
    const bool old = name == "server min protocol" && !found.starts_with("SMB");
    Tell(old, "globals",
         fmt::format("'{}' is '{}' by {} and stays, since the configuration does not say it{}", name, found,
                     q_.paths.smb_conf,
                     old ? fmt::format("; SMB1 is not safe: declare samba.min_protocol ({})", usual) : ""));
  }

  void NoteOverridden(const std::string& name, const std::string& value) {
    const auto effective = state_.live.globals.find(name);
    if (!state_.included || effective == state_.live.globals.end() ||
        SameValue(name, effective->second, value))
      return;
    Tell(true, "globals",
         fmt::format("{} sets '{}' to '{}' after the include of {}, which says '{}'", q_.paths.smb_conf, name,
                     effective->second, q_.paths.own_file, value));
  }

  void WantShare(const ShareSpec& share) {
    if (state_.others.shares.count(ShareKey(share.name)) > 0) {
      return Report(share.origin + ".name",
                    fmt::format("the share [{}] is defined beside {} as well, in {} or the registry: remove "
                                "it there, or give this one another name",
                                share.name, q_.paths.own_file, q_.paths.smb_conf));
    }
    NoteFileSystem(share);
    const Section wanted = SectionOf(share);
    const Section* own = state_.own.Find(share.name);
    std::vector<kit::FieldDiff> diffs;
    if (own == nullptr || own->name != wanted.name)
      diffs.push_back({"share", own == nullptr ? "" : own->name, wanted.name});
    std::set<std::string> names;
    for (const auto& [name, value] : wanted.parameters) names.insert(name);
    if (own != nullptr) {
      for (const auto& [name, value] : own->parameters) names.insert(name);
    }
    for (const std::string& name : names) {
      const auto before = own == nullptr ? std::string() : ValueOf(own->parameters, name);
      const auto after = ValueOf(wanted.parameters, name);
      const bool same_presence =
          own != nullptr && own->parameters.count(name) == wanted.parameters.count(name);
      if (same_presence && SameValue(name, before, after)) continue;
      diffs.push_back({name, before, after});
    }
    if (diffs.empty()) return CheckLive(share, *own);
    NoteModules(wanted);
    touches_own_ = true;
    plan_.own_after.Put(wanted);
    SetShare step{wanted, own == nullptr || Created(Key("share", own->name)), "", "", false};
    ChooseProbe(share, step);
    step.ends = SessionsToEnd(own, &wanted);
    NoteSessions(share.name, step.ends);
    std::vector<kit::Requirement> needs = {
        NeedPackage(),
        NeedOwnFile(),
        NeedInclude(),
        {Key("path", share.path), state_.directories.count(share.path) > 0}};
    for (const std::string& user : share.valid_users) {
      if (IsGroup(user)) {
        needs.push_back({Key("group", user.substr(1)), state_.groups.count(user.substr(1)) > 0});
      } else {
        needs.push_back(NeedAccount(user));
        needs.push_back(NeedEntry(user));
      }
    }
    plan_.steps.push_back({step, diffs, needs});
  }

  void NoteSessions(const std::string& share, Cut ends) {
    if (ends == Cut::kDenied) {
      Tell(true, share, "sessions of those who are not let in any more end; all others go on");
    } else if (ends == Cut::kEverybody) {
      Tell(true, share,
           "it takes away what smbd gives when a session begins: every session with this share ends, and its "
           "clients connect again by themselves");
    }
  }

  // As it is now: a step of this very plan may change it.
  void NoteFileSystem(const ShareSpec& share) {
    const auto found = state_.mounts.find(share.path);
    if (found == state_.mounts.end()) return;
    const MountState& mount = found->second;
    if (share.previous_versions && mount.file_system != "zfs") {
      Tell(true, share.name,
           fmt::format("previous versions are snapshots of a ZFS file system, and {} is on {} now",
                       share.path, mount.file_system));
    }
    if (share.acl != ShareAcl::kUnsaid && !mount.keeps_acls) {
      Tell(true, share.name,
           fmt::format(
               "the file system mounted at {} keeps no ACLs now: what clients set is cut down to modes "
               "until its dataset has acltype=posix",
               mount.mount_point));
    }
  }

  // A share's list of modules replaces that of smb.conf, and does not add to it.
  void NoteModules(const Section& wanted) {
    const auto own = wanted.parameters.find("vfs objects");
    const auto everywhere = state_.live.globals.find("vfs objects");
    if (own == wanted.parameters.end() || everywhere == state_.live.globals.end()) return;
    const std::vector<std::string> there = Words(own->second);
    for (const std::string& module : Words(everywhere->second)) {
      if (std::count(there.begin(), there.end(), module) > 0) continue;
      Tell(true, wanted.name,
           fmt::format(
               "{} loads the module {} for every share; this one has modules of its own and goes without: "
               "name it in the share's vfs objects if it is needed",
               q_.paths.smb_conf, module));
    }
  }

  static std::string ValueOf(const Parameters& parameters, const std::string& name) {
    const auto found = parameters.find(name);
    return found == parameters.end() ? "" : found->second;
  }

  // The file says what is wanted; does Samba read it so?
  void CheckLive(const ShareSpec& share, const Section& own) {
    if (!state_.installed || !state_.included) return;
    const auto live = state_.live.shares.find(ShareKey(share.name));
    if (live == state_.live.shares.end()) {
      return Tell(true, share.name,
                  fmt::format("Samba does not see this share, although {} holds it", q_.paths.own_file));
    }
    const std::string difference = Difference(own.parameters, live->second.parameters, state_.live.globals);
    if (!difference.empty())
      Tell(true, share.name, "Samba reads this share otherwise than it is written: " + difference);
  }

  static bool IsShutOut(const ShareSpec& share, const std::string& user) {
    const auto list = share.options.find("invalid users");
    if (list == share.options.end()) return false;
    const std::vector<std::string> users = Words(list->second);
    return std::count(users.begin(), users.end(), user) > 0;
  }

  void ChooseProbe(const ShareSpec& share, SetShare& step) const {
    for (const std::string& name : share.valid_users) {
      for (const UserSpec& user : spec_.users) {
        if (user.absent || user.name != name || user.password_secret.empty() || !step.probe_user.empty() ||
            IsShutOut(share, name))
          continue;
        step.probe_user = name;
        step.probe_secret = user.password_secret;
      }
    }
    // Who is in a group is not known here.
    if (std::none_of(share.valid_users.begin(), share.valid_users.end(), IsGroup) &&
        !share.valid_users.empty()) {
      for (const UserSpec& user : spec_.users) {
        const bool named = std::count(share.valid_users.begin(), share.valid_users.end(), user.name) > 0;
        if (user.absent || named || user.password_secret.empty() || !step.stranger.empty()) continue;
        step.stranger = user.name;
        step.stranger_secret = user.password_secret;
      }
    }
    // A list of writers or readers may say otherwise for this one user: then only reading is tried.
    step.writable = !share.read_only && share.options.count("read list") == 0;
  }

  void UnwantShare(const ShareSpec& share) {
    const Section* own = state_.own.Find(share.name);
    if (own == nullptr) {
      if (state_.others.shares.count(ShareKey(share.name)) > 0) {
        Report(share.origin, fmt::format("the share [{}] is defined beside {}, so Phoenix does not remove it",
                                         share.name, q_.paths.own_file));
      }
      return;
    }
    if (!Created(Key("share", own->name))) {
      return Report(share.origin,
                    fmt::format("the share [{}] was not created by Phoenix, so Phoenix does not remove it",
                                share.name));
    }
    touches_own_ = true;
    plan_.own_after.Remove(share.name);
    // Consumers of what other steps take away go first: hence the keys of its path and users.
    std::vector<kit::Requirement> needs = {NeedPackage(), NeedOwnFile()};
    const std::string path = ValueOf(own->parameters, "path");
    if (state_.directories.count(path) > 0) needs.push_back({Key("path", path), true});
    for (const auto& [name, entry] : state_.entries) {
      const std::string users = " " + ValueOf(own->parameters, "valid users") + " ";
      if (users.find(" " + name + " ") != std::string::npos) needs.push_back(NeedEntry(name));
    }
    std::vector<kit::FieldDiff> diffs = {{"share", own->name, ""}};
    for (const auto& [name, value] : own->parameters) diffs.push_back({name, value, ""});
    Tell(true, own->name, "every session with this share ends");
    plan_.steps.push_back({RemoveShare{own->name}, diffs, needs});
  }

  void Orphans() {
    for (const auto& [key, section] : state_.own.shares) {
      const bool declared =
          std::any_of(spec_.shares.begin(), spec_.shares.end(),
                      [&key = key](const ShareSpec& share) { return ShareKey(share.name) == key; });
      if (declared) continue;
      const std::string users = ValueOf(section.parameters, "valid users");
      const std::string path = ValueOf(section.parameters, "path");
      Tell(true, section.name,
           fmt::format(
               "orphaned: the share [{}] is no longer declared, but still gives {} access to {}; it goes "
               "when it is declared with \"state\": \"absent\", or with --prune shares",
               section.name, users.empty() ? "everybody" : users, path));
    }
    for (const auto& [name, value] : state_.own.globals) {
      if (spec_.globals.count(name) > 0) continue;
      Tell(true, "globals",
           fmt::format("orphaned: '{} = {}' is no longer declared, but still holds", name, value));
    }
    std::set<std::string> users;
    for (const auto& [key, fact] : q_.ledger) {
      const std::string name(kit::NameOf(key));
      const bool here = (kit::KindOf(key) == "user" && state_.accounts.count(name) > 0) ||
                        (kit::KindOf(key) == "passdb" && state_.entries.count(name) > 0);
      if (here) users.insert(name);
    }
    for (const UserSpec& user : spec_.users) users.erase(user.name);
    for (const std::string& name : users) {
      Tell(true, name,
           fmt::format("orphaned: the user {} is no longer declared, but can still log in", name));
    }
  }

  const PlanQuestion& q_;
  const SambaState& state_;
  const SambaSpec& spec_;
  SambaPlan plan_;
  bool touches_own_ = false;
};

}  // namespace

void AddOrphans(PlanQuestion& question) {
  if (!question.spec.prune_shares || question.spec.partial) return;
  std::set<std::string> declared;
  for (const ShareSpec& share : question.spec.shares) declared.insert(ShareKey(share.name));
  for (const auto& [key, section] : question.state.own.shares) {
    const auto fact = question.ledger.find(Key("share", section.name));
    if (declared.count(key) > 0 || fact == question.ledger.end() || !fact->second.created) continue;
    ShareSpec share;
    share.name = section.name;
    share.absent = true;
    share.origin = "--prune shares";
    question.spec.shares.push_back(std::move(share));
  }
}

std::vector<FieldViolation> SharesThatStay(const PlanQuestion& question) {
  std::vector<FieldViolation> stay;
  const auto check = [&](const std::string& place, const std::string& name, const std::string& path) {
    if (kit::SatisfiedBy(question.removed_keys, Key("path", path))) {
      stay.push_back(
          {place, fmt::format("the share [{}] stands on {}, which is to go; take the share away as well, "
                              "or keep the path",
                              name, path)});
    }
  };
  std::set<std::string> declared;
  for (const ShareSpec& share : question.spec.shares) {
    declared.insert(ShareKey(share.name));
    if (!share.absent) check(share.origin + ".path", share.name, share.path);
  }
  // Ours that nobody declares any more, and those of smb.conf.
  std::map<std::string, Section> others = question.state.others.shares;
  others.insert(question.state.own.shares.begin(), question.state.own.shares.end());
  for (const auto& [key, section] : others) {
    const auto path = section.parameters.find("path");
    if (declared.count(key) > 0 || path == section.parameters.end()) continue;
    check(fmt::format("shares[{}]", section.name), section.name, path->second);
  }
  return stay;
}

SambaPlan MakeSambaPlan(const PlanQuestion& question) { return Planner(question).Run(); }

std::string TimeText(int64_t seconds) {
  const auto when = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace phoenix::samba

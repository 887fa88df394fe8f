#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/names.h"
#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/samba_features.h"
#include "orchestrator/config/samba_options.h"
#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

constexpr const char* kSeparators = ", \t";
constexpr const char* kNotRoot = "root is not for file sharing: whoever has the password may do everything";

// Where each of a share's settings came from, so that a contradiction can name both places.
struct Setting {
  std::optional<bool> value;
  Origin origin;
};

void Combine(Setting& setting, bool value, const Origin& origin, std::string_view what, Findings& findings) {
  if (setting.value.has_value() && *setting.value != value) {
    findings.Error("contradicting-options", origin,
                   fmt::format("{} is said to be {} here and {} at {}", what, value, *setting.value,
                               setting.origin.ToString()),
                   {}, "one of the two");
    return;
  }
  setting = {value, origin};
}

void ReadSetting(const Cursor& cursor, std::string_view what, Setting& setting) {
  if (const auto value = cursor.Bool()) Combine(setting, *value, cursor.origin(), what, cursor.findings());
}

// "@staff", "+staff" and "&staff" all mean a group; smb.conf(5) prefers "@" where no NIS is in use.
std::optional<std::string> ReadUser(const Text& text, Findings& findings) {
  const bool is_group =
      !text.value.empty() && std::string_view("@+&").find(text.value[0]) != std::string_view::npos;
  const std::string name = is_group ? text.value.substr(1) : text.value;
  if (const auto problem = SambaAccountProblem(name)) {
    findings.Error("invalid-name", text.origin, "this is no user or group of a share", Quoted(text.value),
                   *problem + "; a group with @ in front");
    return std::nullopt;
  }
  if (name == "root" && !is_group) {
    findings.Error("invalid-name", text.origin, kNotRoot, Quoted(text.value), "another user, or a group");
    return std::nullopt;
  }
  return is_group ? "@" + name : name;
}

std::vector<std::string> ReadUsers(const std::vector<Text>& texts, Findings& findings) {
  std::vector<std::string> users;
  for (const Text& text : texts) {
    const auto user = ReadUser(text, findings);
    if (user.has_value() && std::find(users.begin(), users.end(), *user) == users.end())
      users.push_back(*user);
  }
  return users;
}

void ReadValidUsers(const Cursor& cursor, const std::vector<Text>& from_options, const Config& config,
                    SambaShare& share) {
  const Cursor listed = cursor.Key("valid_users");
  Findings& findings = cursor.findings();
  const std::vector<Text> texts = listed.StringList(kSeparators);
  share.valid_users = ReadUsers(texts, findings);
  const std::vector<std::string> optional = ReadUsers(from_options, findings);
  if (share.valid_users.empty()) {
    share.valid_users = optional;
  } else if (!optional.empty() && optional != share.valid_users) {
    findings.Error("contradicting-options", from_options[0].origin,
                   fmt::format("the options name other valid users than {}", listed.origin().ToString()), {},
                   "one of the two");
  }
  if (!share.valid_users.empty() || !texts.empty() || !from_options.empty()) return;
  // Never "everyone": a share without users would be open to all who can log in.
  if (config.samba.user.empty()) {
    listed.Error("missing", "no valid users are named, and there is no samba.user to fall back on",
                 "a list of users");
  } else {
    share.valid_users = {config.samba.user};
  }
}

// Takes what has a field of its own out of the options; true for these.
bool TakeTyped(const SambaOption& option, Setting& browsable, Setting& read_only, Setting& guest_ok,
               std::vector<Text>& valid_users, Findings& findings) {
  if (option.name == "valid users") {
    for (const std::string_view user : SplitTrimmed(option.value, kSeparators)) {
      valid_users.push_back({std::string(user), option.origin});
    }
    return true;
  }
  const bool is_bool = option.name == "browseable" || option.name == "writable" ||
                       option.name == "read only" || option.name == "guest ok";
  if (!is_bool) return false;
  const auto value = ParseSambaBool(option.value);
  if (!value.has_value()) {
    findings.Error("invalid-samba-option", option.origin, fmt::format("{} is yes or no", Quoted(option.name)),
                   Quoted(option.value), "yes or no");
  } else if (option.name == "browseable") {
    Combine(browsable, *value, option.origin, "browseable", findings);
  } else if (option.name == "writable") {
    Combine(read_only, !*value, option.origin, "read only", findings);
  } else if (option.name == "read only") {
    Combine(read_only, *value, option.origin, "read only", findings);
  } else {
    Combine(guest_ok, *value, option.origin, "guest ok", findings);
  }
  return true;
}

void ReadOptions(const Cursor& cursor, const Config& config, SambaShare& share) {
  Findings& findings = cursor.findings();
  Setting browsable;
  Setting read_only;
  Setting guest_ok;
  ReadSetting(cursor.Key("browsable"), "browseable", browsable);
  ReadSetting(cursor.Key("browseable"), "browseable", browsable);
  ReadSetting(cursor.Key("read_only"), "read only", read_only);
  ReadSetting(cursor.Key("guest_ok"), "guest ok", guest_ok);
  std::vector<Text> valid_users;
  const std::vector<SambaOption> options = ReadSambaOptions(cursor.Key("options"));
  ReadShareFeatures(cursor, options, share);
  for (const SambaOption& option : options) {
    if (TakeTyped(option, browsable, read_only, guest_ok, valid_users, findings)) continue;
    const auto [given, is_new] = share.options.emplace(option.name, option.value);
    if (is_new || given->second == option.value) continue;
    findings.Error("contradicting-options", option.origin,
                   fmt::format("the parameter {} is given two values", Quoted(option.name)), {},
                   "one of the two");
  }
  ReadValidUsers(cursor, valid_users, config, share);
  // The defaults of the scripts in use, not of smb.conf: a share is browsable and writable unless it says
  // otherwise.
  share.browsable = browsable.value.value_or(true);
  share.read_only = read_only.value.value_or(false);
  share.guest_ok = guest_ok.value.value_or(false);
  if (share.guest_ok) {
    findings.Lint("guest-and-valid-users", guest_ok.origin,
                  "guests are refused where valid users are named, and every share here has some");
  }
}

// From `name`, or else the last component of the path; false after an error.
bool ReadShareName(const Cursor& cursor, const Config& config, SambaShare& share) {
  const Cursor name = cursor.Key("name");
  if (name.present()) {
    const auto text = name.String();
    if (!text.has_value()) return false;
    share.name = *text;
  } else {
    share.name = share.path.substr(share.path.rfind('/') + 1);
  }
  const Cursor& place = name.present() ? name : cursor.Key("path");
  if (const auto problem = ShareNameProblem(share.name)) {
    place.findings().Error("invalid-name", place.origin(), "this is no share name", Quoted(share.name),
                           *problem);
    return false;
  }
  for (const SambaShare& other : config.samba.shares) {
    if (ToLower(other.name) != ToLower(share.name)) continue;
    place.findings().Error(
        "duplicate-name", place.origin(),
        fmt::format("a share of this name was declared before, at {}{}", other.origin.ToString(),
                    name.present() ? "" : "; this one took its name from its path"),
        Quoted(share.name), "every share name once, in upper or lower case");
    return false;
  }
  return true;
}

void ReadShare(const Cursor& cursor, Config& config) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"name", "path", "valid_users", "options", "browsable", "browseable", "read_only",
                     "guest_ok", "previous_versions", "acl", "state"});
  SambaShare share;
  share.origin = cursor.origin();
  const auto absent = ReadAbsent(cursor);
  share.absent = absent.value_or(false);
  // One that goes by its name needs no path.
  const bool by_name = share.absent && cursor.Key("name").present() && !cursor.Key("path").present();
  auto path = by_name ? std::optional<std::string>("/") : ReadPath(cursor.Key("path"), config);
  // smbd replaces %-sequences and reads a backslash at the end as a continued line.
  if (path.has_value() && path->find_first_of("%\\\"") != std::string::npos) {
    cursor.Key("path").Error("invalid-path", "Samba would read this path otherwise",
                             "a path without %, \\ and \"");
    path.reset();
  }
  if (!share.absent) ReadOptions(cursor, config, share);
  if (!absent.has_value() || !path.has_value()) return;
  share.path = *path;
  if (!ReadShareName(cursor, config, share)) return;
  const Dataset* dataset = config.DatasetProviding(share.path);
  if (dataset != nullptr) share.dataset = dataset->full_name;
  config.samba.shares.push_back(std::move(share));
}

void AddUser(const std::string& name, bool is_samba_user, const Origin& origin, Samba& samba) {
  for (const SambaUser& known : samba.users) {
    if (known.name == name) return;
  }
  samba.users.push_back({name, fmt::format("samba/users/{}", name), is_samba_user, false, origin});
}

// False after an error: `text` is no account that shares are for; `what` says so.
bool CheckAccount(const Cursor& cursor, const std::string& text, const char* what) {
  if (const auto problem = SambaAccountProblem(text)) {
    cursor.Error("invalid-name", what, *problem);
    return false;
  }
  if (text != "root") return true;
  cursor.Error("invalid-name", kNotRoot, "another user");
  return false;
}

// Users by name: those that must be able to log in, and those that go.
void ReadUser(const Cursor& cursor, Config& config) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"name", "state"});
  const Cursor name = cursor.Key("name");
  if (!name.present()) name.Error("missing", "this user has no name", "a user name");
  const auto text = name.String();
  const auto absent = ReadAbsent(cursor);
  if (!text.has_value() || !absent.has_value()) return;
  if (!CheckAccount(name, *text, "this is no user name")) return;
  for (const SambaUser& known : config.samba.users) {
    if (known.name != *text) continue;
    if (!*absent && !known.absent) return;
    name.Error("duplicate-name", fmt::format("this user is declared before, at {}", known.origin.ToString()),
               "every user once");
    return;
  }
  AddUser(*text, !*absent, cursor.origin(), config.samba);
  config.samba.users.back().absent = *absent;
}

// Those whom the firewall lets through to Samba: it knows addresses only.
void CheckClients(const Cursor& subnet, const Config& config) {
  if (config.samba.shares.empty() || config.default_subnet.empty()) return;
  if (IsAddressOrSubnet(config.default_subnet)) return;
  subnet.Error("invalid-client",
               "the firewall opens Samba to this subnet, and it knows neither host names nor netgroups",
               "an address or a subnet (10.0.0.0/24); exports may name their own clients");
}

void ReadWorkgroup(const Cursor& cursor, Config& config) {
  const auto text = cursor.String();
  if (!text.has_value() || text->empty()) return;
  if (const auto problem = WorkgroupProblem(*text)) {
    cursor.Error("invalid-name", "this is no workgroup", *problem);
    return;
  }
  config.samba.workgroup = *text;
  config.samba.says_workgroup = true;
}

}  // namespace

void ReadSamba(const Cursor& root, Config& config) {
  ReadWorkgroup(root.Key("network").Key("workgroup"), config);
  const Cursor samba = root.Key("samba");
  if (!samba.present() || !samba.RequireObject()) return;
  samba.ExpectKeys({"user", "users", "workgroup", "min_protocol", "signing", "netbios", "shares"});
  ReadWorkgroup(samba.Key("workgroup"), config);
  ReadWord(samba.Key("min_protocol"), "this is no protocol that shares are served with",
           {"SMB2", "SMB2_02", "SMB2_10", "SMB3", "SMB3_00", "SMB3_02", "SMB3_11"},
           config.samba.min_protocol);
  config.samba.says_min_protocol = samba.Key("min_protocol").present();
  // "disabled" is the same as "auto" for every protocol from SMB2 on.
  ReadWord(samba.Key("signing"), "this is no rule for signing", {"auto", "mandatory"}, config.samba.signing);
  config.samba.netbios = samba.Key("netbios").Bool();
  const Cursor user = samba.Key("user");
  if (const auto text = user.String(); text.has_value() && !text->empty()) {
    if (CheckAccount(user, *text, "this is no user of shares")) {
      config.samba.user = *text;
      AddUser(*text, true, user.origin(), config.samba);
    }
  }
  for (const Cursor& one : samba.Key("users").Elements()) ReadUser(one, config);
  for (const Cursor& share : samba.Key("shares").Elements()) ReadShare(share, config);
  CheckClients(root.Key("network").Key("default_subnet"), config);
  for (const SambaShare& share : config.samba.shares) {
    for (const std::string& name : share.valid_users) {
      if (name[0] != '@') AddUser(name, false, share.origin, config.samba);
    }
  }
}

void DefaultOwnership(Config& config) {
  for (const SambaShare& share : config.samba.shares) {
    for (Dataset& dataset : config.datasets) {
      if (dataset.absent || share.absent || dataset.mountpoint != share.path ||
          dataset.ownership.has_value() || share.valid_users.empty())
        continue;
      const std::string& first = share.valid_users[0];
      // 2: new files belong to the group whoever makes them, so that users of one share can read each
      // other's.
      dataset.ownership = Ownership{"root", first[0] == '@' ? first.substr(1) : first, 02770, true};
    }
  }
}

}  // namespace phoenix::config

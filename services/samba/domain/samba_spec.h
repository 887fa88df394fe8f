// What is wanted of a node's Samba. Pure values.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status/errors.h"

namespace phoenix::samba {

// Snapshots of the ZFS file system as previous versions.
struct PreviousVersions {
  std::string format;       // of the snapshots' names, as strftime(3) takes it
  bool local_time = false;  // the names are in the node's time zone, not in UTC
  friend bool operator==(const PreviousVersions&, const PreviousVersions&) = default;
};

// How a share keeps the access control lists that clients set; see share_features.h.
enum class ShareAcl { kUnsaid, kPosix, kWindows };

struct ShareSpec {
  std::string name;
  std::string path;
  std::vector<std::string> valid_users;  // accounts, and groups as "@name"
  bool browseable = true;
  bool read_only = false;
  bool guest_ok = false;
  std::map<std::string, std::string> options;  // further parameters of smb.conf(5)
  std::optional<PreviousVersions> previous_versions;
  ShareAcl acl = ShareAcl::kUnsaid;
  bool absent = false;
  std::string origin;  // the place in the configuration, for errors
  friend bool operator==(const ShareSpec&, const ShareSpec&) = default;
};

struct UserSpec {
  std::string name;
  std::string password_secret;  // the secret's name, never its value
  bool absent = false;
  std::string origin;
  friend bool operator==(const UserSpec&, const UserSpec&) = default;
};

struct SambaSpec {
  std::vector<ShareSpec> shares;
  std::vector<UserSpec> users;
  std::map<std::string, std::string> globals;
  // Those of them that nobody asked for: what smb.conf says otherwise by hand stays.
  std::set<std::string, std::less<>> usual_globals;
  std::vector<std::string> clients;  // CIDRs and addresses, for the firewall
  bool partial = false;              // what is not named is not reported as orphaned
  // What was created and is not named any more goes.
  bool prune_shares = false, prune_rules = false;
  friend bool operator==(const SambaSpec&, const SambaSpec&) = default;
};

// Brings names of parameters into their canonical form, folds those of `options` that have a field of their
// own ("browsable", "writable", "public", "valid users") into it, and adds to them what previous versions and
// ACLs take. Answers everything that is wrong with the spec by itself.
std::vector<FieldViolation> Canonicalise(SambaSpec& spec);

// True for "@staff".
inline bool IsGroup(const std::string& valid_user) { return !valid_user.empty() && valid_user[0] == '@'; }

// An account or group name that is safe as an argument and in /etc/passwd.
bool IsAccountName(const std::string& name);

}  // namespace phoenix::samba

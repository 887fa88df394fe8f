// What is seen of a node's Samba. Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/samba/domain/parameters.h"
#include "services/samba/domain/smb_conf.h"

namespace phoenix::samba {

// A system account.
struct Account {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string comment;
  std::string home;
  std::string shell;
  friend bool operator==(const Account&, const Account&) = default;
};

// An entry of passdb. `mac` is HMAC-SHA256(node key, NT hash): it tells whether the password is a given one,
// and nothing about it without the node key.
struct SambaEntry {
  int64_t last_set = 0;  // seconds since 1970
  std::string mac;
  std::string flags = {};  // "[U          ]": U a user, D switched off, N without a password, …
  friend bool operator==(const SambaEntry&, const SambaEntry&) = default;
};

// The file system that holds a path.
struct MountState {
  std::string mount_point;
  std::string file_system;  // "zfs", "ext4"
  bool keeps_acls = true;   // POSIX ones, as far as its mount options tell
  friend bool operator==(const MountState&, const MountState&) = default;
};

// What testparm made of a configuration: the sections' parameters that are no defaults, by ShareKey().
struct ConfigDump {
  Parameters globals;  // with the defaults of shares' parameters
  std::map<std::string, Section> shares;
  friend bool operator==(const ConfigDump&, const ConfigDump&) = default;
};

struct SambaState {
  bool installed = false;
  // nullopt: no such file.
  std::optional<std::string> smb_conf;
  bool included = false;
  std::optional<std::string> own_text;
  OwnFile own;
  // True when Render(own) is the text of the file: then it can be written without loss.
  bool own_is_ours = true;
  // The configuration as smbd reads it, and as it would be without our file. Empty where Samba is not
  // installed.
  ConfigDump live;
  ConfigDump others;
  std::map<std::string, Account> accounts;  // the named ones
  std::set<std::string> groups;             // the named ones
  std::map<std::string, SambaEntry> entries;
  std::set<std::string> directories;  // the shares' paths that are there
  // Of those whose shares want previous versions or ACLs.
  std::map<std::string, MountState> mounts;
  // False where passdb is no tdb file: then a former password could not be put back.
  bool passdb_restorable = true;
};

}  // namespace phoenix::samba

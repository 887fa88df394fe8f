// What Samba and the account tools print, as values. Pure; tested on transcripts of Samba 4.17.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/host/command.h"
#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

// A line of /etc/passwd.
absl::StatusOr<Account> ParseAccount(std::string_view line);
// The gid of a line of /etc/group.
absl::StatusOr<uint32_t> ParseGroup(std::string_view line);
// What `id -G` says, without `own`, sorted.
absl::StatusOr<std::vector<uint32_t>> ParseGroups(std::string_view line, uint32_t own);
// pdbedit -L -w. Lines that are no entries (warnings) are passed over.
std::map<std::string, PassdbEntry> ParsePassdb(std::string_view out);
// testparm -s -v: what it loaded from standard output, what it disliked from standard error.
CheckedConfig ParseTestparm(const CommandResult& result);
// OK where the login and its commands went well.
// The mount of a mountinfo that holds the path: of several at one place the last one.
MountState ParseMount(std::string_view mountinfo, std::string_view path);

absl::Status ParseLogin(const CommandResult& result);
// Where `passdb backend` and `private dir` put the entries; "" for another backend than tdbsam.
std::string PassdbPath(const Parameters& globals);

}  // namespace phoenix::samba

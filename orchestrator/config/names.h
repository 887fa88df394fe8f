// Which names are safe to hand to the tools. Stricter than the tools where a name could be read as an option,
// a path or a pattern: such names cannot be escaped everywhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace phoenix::config {

// Each: nothing if the name is fine, else what is allowed.
std::optional<std::string> PoolNameProblem(std::string_view name);
// One component or several, "a/b", below a pool.
std::optional<std::string> DatasetNameProblem(std::string_view name);
std::optional<std::string> StorageIdProblem(std::string_view id);
std::optional<std::string> ShareNameProblem(std::string_view name);
std::optional<std::string> UserNameProblem(std::string_view name);
// A uid or gid in decimal; the last one of 32 bits stands for none.
bool IsId(std::string_view text);
// A user or group of a share. Accounts that `useradd` makes without being forced have no capitals and no
// dots.
std::optional<std::string> SambaAccountProblem(std::string_view name);
std::optional<std::string> WorkgroupProblem(std::string_view name);
// One label of a host name, "pve1".
std::optional<std::string> HostLabelProblem(std::string_view name);

// True for printable ASCII without control characters.
bool IsPrintable(std::string_view text);
// True for names like "nas.example.org". A name whose last label is a number is none: it is a mistyped
// address.
bool IsHostName(std::string_view text);

// The absolute path without doubled and trailing slashes; nothing if it is relative, holds "." or ".." or an
// unprintable character.
std::optional<std::string> NormalisedPath(std::string_view path);

}  // namespace phoenix::config

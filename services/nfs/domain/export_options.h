// Options of exports(5): which there are, and what a list of them means once every default is filled in.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phoenix::nfs {

// What may differ between security flavours of one export.
struct FlavourFlags {
  bool read_only = true;
  bool insecure = false;
  bool root_squash = true;
  bool all_squash = false;
  friend bool operator==(const FlavourFlags&, const FlavourFlags&) = default;
};

// The meaning of an option list, as exportfs computes it. Two lists mean the same exactly when these are
// equal.
struct ExportOptions {
  FlavourFlags flags;
  bool async = false;
  bool wdelay = true;
  bool nohide = false;
  bool crossmnt = false;
  bool subtree_check = false;
  bool insecure_locks = false;
  bool no_acl = false;
  bool nordirplus = false;
  bool pnfs = false;
  uint32_t anonuid = 65534;
  uint32_t anongid = 65534;
  // What fsid= gave: a number, or else the text of a UUID.
  std::optional<uint32_t> fsid;
  std::string uuid;
  // nullopt: exported even where nothing is mounted; "": the path itself must be a mount point.
  std::optional<std::string> mount_point;
  std::string refer;
  std::string replicas;
  // In order of preference; ("sys", flags) where none is named.
  std::vector<std::pair<std::string, FlavourFlags>> flavours;
  friend bool operator==(const ExportOptions&, const ExportOptions&) = default;
};

// What is wrong with one option for Phoenix to write it, for people; nullopt when it is fine. What exportfs
// does not take is among it: for each of those it drops the line and every later line of the file.
std::optional<std::string> ProblemOf(std::string_view option);
// The first thing in a list of options, as it stands between the parentheses of a line, that exportfs does
// not take; nullopt where it takes them all. That is more than Phoenix writes (`anonuid=-2`, a relative
// `mp=`), and in one way less: an option without a letter, as in "rw,,sync", is none. `knows_newer`: exportfs
// is later than that of nfs-utils 2.6.2 (Debian 12) and knows the options of IsNewerOption().
std::optional<std::string> RejectedByExportfs(std::string_view options, bool knows_newer);
bool IsNewerOption(std::string_view option);
// What is wrong with a list of single options that are fine: two that contradict each other.
std::optional<std::string> ContradictionIn(const std::vector<std::string>& options);

// "rw,sync" as a list, blanks around commas dropped.
std::vector<std::string> SplitOptions(std::string_view text);
std::string JoinOptions(const std::vector<std::string>& options);

// Values are read as exportfs reads them: what is not in its table by a later version is left out.
ExportOptions Meaning(const std::vector<std::string>& options);

// True when an entry of the table means what `wanted` means. A server without its kernel part does not say of
// single flavours whether they are secure: that is then not compared.
bool TableSays(const std::vector<std::string>& table, const std::vector<std::string>& wanted);

// The same in the words of the table (etab), every default spelled out.
std::string TableText(const ExportOptions& options);

}  // namespace phoenix::nfs

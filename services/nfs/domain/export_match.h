// Whether the server's table is what files say. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/nfs/domain/export_entry.h"
#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {

// The entries of one path.
std::vector<LiveExport> LiveOf(const std::vector<LiveExport>& live, const std::string& path);

// What the table lacks, has in excess or has otherwise of `entry`'s path, one line each; empty when it is as
// the entry says. The table calls hosts, and addresses that have a name, by their canonical names: those are
// told by their options.
std::vector<std::string> DifferencesOf(const ExportEntry& entry, const std::vector<LiveExport>& live);

// The entries of `path` in the table that `entry` does not say, in these words; all of them where there is no
// entry.
std::vector<LiveExport> NotSaidBy(const std::optional<ExportEntry>& entry, const std::string& path,
                                  const std::vector<LiveExport>& live);

// Entries of the table that no file explains: exported by hand with exportfs, so that the next `exportfs -r`
// cuts them.
std::vector<LiveExport> ByHand(const NfsState& state);

// Entries of files that are not in the table, though exportfs would put them there: whoever runs it next
// does.
std::vector<ForeignExport> Pending(const NfsState& state);

// Exports that the kernel (`served`, the text form of /proc/fs/nfsd/exports) still knows though the table has
// them no more. The kernel names every client of the table, of whatever path, to which the address belongs,
// separated by commas, or the address itself behind a `$`. It knows file systems below an export with
// crossmnt by their own paths, which the table never has; a path of mountd's own making (v4root) is none of
// them.
std::vector<LiveExport> KeptByKernel(const std::vector<LiveExport>& served,
                                     const std::vector<LiveExport>& live);

// For the eyes and for fingerprints: "/path client(options)", options as TableText() has them.
std::string ToText(const LiveExport& live);

}  // namespace phoenix::nfs

// The commands behind each change, built purely.
#pragma once

#include <string>
#include <vector>

#include "base/host/command.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

// The processes that make the change, in order; empty for what is done without one (files, directories,
// descriptors).
std::vector<Command> CommandsFor(const ZfsChange& change);
// What a person would type for the same change.
std::vector<std::string> ToText(const ZfsChange& change);
// "create", "pool_create" … and the object's name: how Sim's faults call a change.
std::string OperationOf(const ZfsChange& change);
std::string ObjectOf(const ZfsChange& change);

// Reads.
Command ListPoolProperties();
Command ShowPoolStatus();
Command ListProperties(const std::vector<std::string>& datasets, bool recursive);
Command ListSnapshots(const std::vector<std::string>& datasets);
// Of snapshots that are there.
Command ListHolds(const std::vector<std::string>& snapshots);
Command ListExportedPools();
Command ListBlockDevices();
Command ListSignatures(const std::vector<std::string>& devices);
Command ProbeDevice(const std::string& device);
Command ReadLabel(const std::string& device);
Command ShowVersion();

// So much is cleared, and proven blank, at both ends of a disk.
inline constexpr uint64_t kDiskEdgeBytes = uint64_t{16} << 20;
inline constexpr char kArcParameter[] = "/sys/module/zfs/parameters/zfs_arc_max";

}  // namespace phoenix::zfs

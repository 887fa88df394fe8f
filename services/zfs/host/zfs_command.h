// The commands behind each change, built purely.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/host/command.h"
#include "services/zfs/host/zfs_host.h"

namespace phoenix::zfs {

// The processes that make the change, in order; empty for what is done without one (files, directories,
// descriptors).
std::vector<Command> CommandsFor(const ZfsChange& change);
// What a person would type for the same change.
std::vector<std::string> ToText(const ZfsChange& change);
// The command that gives a directory this ACL and no other.
std::string SetAclText(const std::vector<std::string>& acl, const std::string& path);
// "create", "pool_create" … and the object's name: how Sim's faults call a change.
std::string OperationOf(const ZfsChange& change);
std::string ObjectOf(const ZfsChange& change);

// Reads.
Command ListPoolProperties();
Command ShowPoolStatus();
// The same tree with GUIDs for names.
Command ShowVdevGuids();
Command ListProperties(const std::vector<std::string>& datasets, bool recursive);
Command ListSnapshots(const std::vector<std::string>& datasets);
// Of snapshots that are there.
Command ListHolds(const std::vector<std::string>& snapshots);
// The bytes written to the snapshot's dataset since.
Command ReadWrittenSince(const std::string& snapshot);
Command ListExportedPools();

// Changes nothing: succeeds where it is the key, loaded or not; says kWrongKey where it is not.
Command TryKey(const std::string& root, const KeyToTry& key);
inline constexpr std::string_view kWrongKey = "Incorrect key provided";

// Mounts a dataset elsewhere than its mount point says.
Command MountAt(const std::string& dataset, const std::string& path);

Command ListBlockDevices();
Command ListSignatures(const std::vector<std::string>& devices);
Command ProbeDevice(const std::string& device);
Command ReadLabel(const std::string& device);
// Never wakes a disk that sleeps.
Command ReadSmart(const std::string& disk);
Command ShowVersion();

// The channel program behind RollbackDataset; its arguments are the dataset, the snapshot's name, the most
// bytes and the guard's name. It says kForeignWrites where more were written.
std::string_view RollbackProgram();
inline constexpr std::string_view kForeignWrites = "phoenix: foreign writes";
// And this where somebody took a snapshot since.
inline constexpr std::string_view kForeignSnapshot = "phoenix: foreign snapshot";
// The channel program that asks whether anybody has open a volume that is its argument or lies in it. It says
// kIsOpen then, and which.
std::string_view OpenProgram();
inline constexpr std::string_view kIsOpen = "phoenix: somebody has it open: ";
// Where SetTreeOwner and DeliverFiles mount: a directory that only root may enter.
inline constexpr char kPrivateMount[] = "/run/phoenix-private";

// So much is cleared, and proven blank, at both ends of a disk.
inline constexpr uint64_t kDiskEdgeBytes = uint64_t{16} << 20;
inline constexpr char kArcParameter[] = "/sys/module/zfs/parameters/zfs_arc_max";
inline constexpr char kArcMinParameter[] = "/sys/module/zfs/parameters/zfs_arc_min";
inline constexpr char kModuleVersion[] = "/sys/module/zfs/version";
inline constexpr char kUpdateInitramfs[] = "/usr/sbin/update-initramfs";
inline constexpr char kArcStatistics[] = "/proc/spl/kstat/zfs/arcstats";

}  // namespace phoenix::zfs

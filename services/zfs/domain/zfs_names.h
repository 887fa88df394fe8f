// Names of ZFS objects and paths: what is allowed, and how they are taken apart. Pure.
#pragma once

#include <string>
#include <string_view>

namespace phoenix::zfs {

// What is wrong with a name, in words; "" for a good one. Stricter than ZFS: no blanks, no leading
// punctuation, since names become arguments of tools, paths and resource names.
std::string WrongPoolName(std::string_view name);
std::string WrongDatasetName(std::string_view name);
std::string WrongSnapshotName(std::string_view name);
// The same for a dataset that is only looked at: whatever ZFS lists, and what was put away below
// pool/.phoenix.
std::string WrongListedName(std::string_view name);

// The same for the path of a file below a mount root: relative, without "." and "..", outside of ZFS's own
// ".zfs".
std::string WrongFilePath(std::string_view path);

// "quickOS" of "quickOS/a@s".
std::string PoolOf(std::string_view dataset);
// "quickOS/a" of "quickOS/a/b"; "" of a pool.
std::string ParentOf(std::string_view dataset);
// "b" of "quickOS/a/b".
std::string LastOf(std::string_view dataset);
// "quickOS/a" of "quickOS/a@s".
std::string DatasetOf(std::string_view snapshot);
// True for `of` itself and everything below it.
bool IsBelow(std::string_view dataset, std::string_view of);

// "/a" of "/a/b"; "/" of "/a" and of "/".
std::string DirectoryOf(std::string_view path);

// Where objects of a run go that are put away: "pool/.phoenix/trash/<run>" and "pool/.phoenix/kept/<run>".
std::string TrashOf(std::string_view dataset, std::string_view run_id);
std::string KeptOf(std::string_view dataset, std::string_view run_id);
// The name below one of them: "quickOS/a/b" becomes "a:b", so that one rename moves it whatever its depth.
std::string AsideName(std::string_view container, std::string_view dataset);

// The snapshot that a run takes of what it touches, before it touches anything:
// "quickOS/a@phoenix-run-<run>".
std::string CheckpointOf(std::string_view dataset, std::string_view run_id);
// The one that a step of the run takes right before it changes content:
// "quickOS/a@phoenix-run-<run>:content".
std::string ContentSnapshotOf(std::string_view dataset, std::string_view run_id);
// And the one that it takes when it is done: "…:given".
std::string GivenSnapshotOf(std::string_view dataset, std::string_view run_id);
// The run of any of these names; "" of any other.
std::string RunOfCheckpoint(std::string_view snapshot);
// The tag that holds a run's checkpoints until it is closed.
std::string HoldOf(std::string_view run_id);

// What a deleted snapshot is renamed to until the run is committed.
std::string TrashedSnapshot(std::string_view snapshot, std::string_view run_id);
// The run of such a name; "" of any other.
std::string RunOfTrashedSnapshot(std::string_view snapshot);

// True for a disk or root file system of a Proxmox guest, and what is below one. Proxmox cannot roll a guest
// back past a snapshot that it did not make.
bool IsGuestVolume(std::string_view dataset);

// True for what was put away there: pool/.phoenix/<kind>/<run>/<name>, not for the containers above it or
// what it holds.
bool IsAside(std::string_view dataset, std::string_view kind);
// The run that put it there: "r1" of pool/.phoenix/kept/r1/a; "" of anything else.
std::string RunOfAside(std::string_view dataset, std::string_view kind);
// True for what was kept and then discarded: it lies in the trash only until the change is committed.
bool IsDiscarded(std::string_view dataset);
// True for pool/.phoenix and the containers in it.
bool IsContainer(std::string_view dataset);

}  // namespace phoenix::zfs

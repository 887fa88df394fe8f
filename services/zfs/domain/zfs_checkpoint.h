// Which datasets a run snapshots before it touches them, and how long what a run leaves behind stays: its
// snapshots (checkpoints) and what it deleted (the trash). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/zfs/domain/zfs_state.h"
#include "services/zfs/domain/zfs_step.h"

namespace phoenix::zfs {

// What a run touches: its own steps change datasets, those of other participants write into paths.
struct Touching {
  std::vector<ZfsStep> steps;
  std::vector<std::string> written;  // paths
};

// The file systems that are there and that the steps change, or that hold a written path (mounted at the
// deepest mount point at or above it), sorted: never what the steps create, never volumes, never anything of
// a guest, never one whose content a step changes between snapshots of its own. `seen` holds all datasets and
// mount points.
std::vector<std::string> DatasetsToCheckpoint(const Touching& touching, const ZfsState& seen);

// What a node keeps of runs that are closed.
struct Retention {
  // Checkpoints of so many runs, the newest.
  int runs = 3;
  // Nothing is kept longer.
  int64_t seconds = int64_t{7} * 86400;
  // Of a dataset's quota: where the checkpoints that count against it hold more, the oldest go.
  int quota_percent = 5;
  // Of a pool: where it is fuller, the oldest checkpoints and what lies longest in its trash go.
  int pool_percent = 80;
};

struct Reap {
  std::string name;  // of a snapshot or a dataset
  std::string why;
  friend bool operator==(const Reap&, const Reap&) = default;
};

struct Reaping {
  // To be destroyed, in this order. Something that cannot be destroyed is simply left.
  std::vector<Reap> reap;
  // What is due and stays, with the reason: somebody holds it, cloned it or put something into it.
  std::vector<Reap> left;
};

// What has to go of `seen`, which holds all pools, datasets and snapshots with their holds. Nothing of a run
// that is not closed: its checkpoints are held by it, and what it deleted does not say yet when it was
// committed. Nothing below pool/.phoenix/kept, ever; what was discarded from there lies in the trash
// and is due at once.
Reaping WhatToReap(const ZfsState& seen, const Retention& retention, int64_t now_seconds);

}  // namespace phoenix::zfs

// What undo kept instead of destroying it, since it met others' data: pool/.phoenix/kept/<run>/<name>. Pure.
#pragma once

#include <optional>
#include <string>

#include "services/zfs/domain/zfs_spec.h"
#include "services/zfs/domain/zfs_state.h"

namespace phoenix::zfs {

struct Kept {
  // The name that it had; where it was not written down, what its name here says.
  std::string original;
  // The run that was undone.
  std::string run;
  // True for a clone of how `original` was before the run; otherwise it is that dataset, put aside.
  bool before = false;
  // Its former canmount, kNotSet where that was not set or not written down.
  std::string canmount;
};

// nullopt for what is not kept itself; what lies in it goes with it.
std::optional<Kept> AsKept(const DatasetState& dataset);

// The name that it is to be restored to.
std::string RestoredName(const KeptSpec& wanted, const DatasetState& kept);

}  // namespace phoenix::zfs

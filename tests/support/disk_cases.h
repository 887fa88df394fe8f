// The ways in which a disk goes wrong below a database, for sweeps over every write and fsync.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/sqlite/reserve.h"
#include "base/status/errors.h"
#include "tests/support/fault_vfs.h"

namespace phoenix::testing {

// What giving the reserve up brings.
enum class Ballast { kHelps, kTakenByOthers };

struct DiskCase {
  const char* name;
  DiskFault fault;
  int64_t times;
  Ballast ballast;
  Unsynced unsynced;
};

// An outage that meets every retry, and ends.
inline constexpr int64_t kLong = 40;

inline constexpr DiskCase kDiskCases[] = {
    {"full once", DiskFault::kFull, 1, Ballast::kHelps, Unsynced::kKept},
    {"full until the reserve is given up", DiskFault::kFull, kLong, Ballast::kHelps, Unsynced::kKept},
    {"full for longer", DiskFault::kFull, kLong, Ballast::kTakenByOthers, Unsynced::kKept},
    {"write error once", DiskFault::kWriteError, 1, Ballast::kHelps, Unsynced::kKept},
    {"write errors, unsynced lost", DiskFault::kWriteError, kLong, Ballast::kHelps, Unsynced::kLost},
    {"fsync error once", DiskFault::kSyncError, 1, Ballast::kHelps, Unsynced::kKept},
    {"fsync error once, unsynced lost", DiskFault::kSyncError, 1, Ballast::kHelps, Unsynced::kLost},
    {"fsync errors, some unsynced lost", DiskFault::kSyncError, kLong, Ballast::kHelps, Unsynced::kSomeLost},
    {"power cut, all written", DiskFault::kPowerCut, 1, Ballast::kHelps, Unsynced::kKept},
    {"power cut, unsynced lost", DiskFault::kPowerCut, 1, Ballast::kHelps, Unsynced::kLost},
    {"power cut, some unsynced lost", DiskFault::kPowerCut, 1, Ballast::kHelps, Unsynced::kSomeLost},
};

// A reserve whose room a test decides.
class CaseReserve final : public Reserve {
 public:
  CaseReserve(FaultVfs& disk, Ballast ballast) : disk_(disk), ballast_(ballast) {}
  absl::Status Hold() override {
    if (!held && room.exchange(false)) held = true;
    return held ? absl::OkStatus() : WithReason(FailedPrecondition("no reserve"), {"NO_RESERVE", {}});
  }
  bool GiveUp() override {
    if (!held.exchange(false)) return false;
    if (ballast_ == Ballast::kHelps) disk_.Heal();
    return true;
  }
  // `room`: the next Hold() succeeds.
  std::atomic<bool> held{true}, room{false};

 private:
  FaultVfs& disk_;
  const Ballast ballast_;
};

// PHOENIX_FAULT_SLICE=K/N: every N-th case from the K-th on; unset, all of them.
struct Slice {
  int64_t part = 0, parts = 1;
};
inline Slice FaultSlice() {
  Slice slice;
  const char* text = std::getenv("PHOENIX_FAULT_SLICE");
  const char* slash = text == nullptr ? nullptr : std::strchr(text, '/');
  if (slash == nullptr) return slice;
  slice.part = std::atoll(text);
  slice.parts = std::max(1LL, std::atoll(slash + 1));
  return slice;
}

}  // namespace phoenix::testing

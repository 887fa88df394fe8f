// Time as a collaborator. Deadlines use boot time, which no clock change moves and which counts on in
// suspend; the wall clock is for display only.
#pragma once

#include <chrono>
#include <cstdint>

namespace phoenix {

using Duration = std::chrono::nanoseconds;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Time since boot, suspend included (CLOCK_BOOTTIME).
  virtual Duration SinceBoot() const = 0;
  // Seconds since 1970, for display only.
  virtual int64_t WallSeconds() const = 0;
};

// The machine's own clocks.
class SystemClock final : public Clock {
 public:
  Duration SinceBoot() const override;
  int64_t WallSeconds() const override;
};

}  // namespace phoenix

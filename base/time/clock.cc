#include "base/time/clock.h"

#include <ctime>

namespace phoenix {

Duration SystemClock::SinceBoot() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

int64_t SystemClock::WallSeconds() const { return static_cast<int64_t>(::time(nullptr)); }

}  // namespace phoenix

// The only source of chance of a schedule: the same seed gives the same schedule on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace phoenix::explore {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // 0 … bound-1.
  size_t Below(size_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool OneIn(size_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace phoenix::explore

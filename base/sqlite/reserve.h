// Ballast beside a database: space that can be given up when the disk is full, so that what is open can be
// finished or undone.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace phoenix {

// Thread-safe.
class Reserve {
 public:
  virtual ~Reserve() = default;
  // Makes sure that it is there, and makes it anew where it was given up. FAILED_PRECONDITION with the reason
  // NO_RESERVE where the disk has no room for it: nothing new may be begun then.
  virtual absl::Status Hold() = 0;
  // Its space is free when this returns. False where there was nothing to give up.
  virtual bool GiveUp() = 0;
};

// A file of that many bytes. They are random and written, not only allocated: ZFS compresses zeros away and
// promises nothing for fallocate, a thin volume has blocks only for what was written.
class FileReserve final : public Reserve {
 public:
  FileReserve(std::string path, int64_t bytes) : path_(std::move(path)), bytes_(bytes) {}
  absl::Status Hold() override;
  bool GiveUp() override;

 private:
  bool IsWhole() const;
  absl::Status Make();
  absl::Status Missing(int64_t free_bytes, std::string_view cause) const;

  const std::string path_;
  const int64_t bytes_;
  absl::Mutex mutex_;
};

}  // namespace phoenix

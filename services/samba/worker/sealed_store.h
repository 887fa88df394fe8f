// What an open run must not forget: to put a password back, the former entry of passdb, encrypted with the
// node key, in a file beside the journal; and which sessions it has yet to end. The one exception to "no
// secret on disk" (design 3.7): root only, gone with the end of the run.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <optional>
#include <string>

#include "base/host/files.h"
#include "base/secret.h"

namespace phoenix::samba {

// Thread-safe. A file is <directory>/<run>/<name>, mode 0600 in folders of mode 0700.
class SealedStore {
 public:
  SealedStore(std::unique_ptr<Files> files, std::string directory)
      : files_(std::move(files)), directory_(std::move(directory)) {}

  // Durable when it answers OK. Keeps what is there already under this name: a step that is done twice must
  // not seal what its first try wrote.
  absl::Status Put(const std::string& run_id, const std::string& name, const Secret& node_key,
                   const Secret& value);
  // nullopt when there is none; DATA_LOSS where it does not open with this key, or belongs to another run or
  // name.
  absl::StatusOr<std::optional<Secret>> Get(const std::string& run_id, const std::string& name,
                                            const Secret& node_key) const;
  // OK when there is none.
  absl::Status Remove(const std::string& run_id, const std::string& name);
  // Removes everything of the run. OK when there is nothing.
  absl::Status Forget(const std::string& run_id);

 private:
  const std::unique_ptr<Files> files_;
  const std::string directory_;
  // A run's folder goes with its last file: not while another step puts one there.
  absl::Mutex folders_mutex_;
};

}  // namespace phoenix::samba

// The real files, below a root that is "/" in production and a temporary tree in tests.
#pragma once

#include <string>

#include "base/host/files.h"

namespace phoenix {

class PosixFiles final : public Files {
 public:
  explicit PosixFiles(std::string root = "/");
  absl::StatusOr<std::optional<FileState>> Read(const std::string& path) const override;
  absl::Status Replace(const std::string& path, const FileState& file) override;
  absl::Status Remove(const std::string& path) override;
  absl::StatusOr<std::optional<DirectoryState>> ReadDirectory(const std::string& path) const override;
  absl::Status MakeDirectory(const std::string& path, const DirectoryState& directory) override;
  absl::Status SetDirectory(const std::string& path, const DirectoryState& directory) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override;

 private:
  std::string Real(const std::string& path) const;
  const std::string root_;
};

}  // namespace phoenix

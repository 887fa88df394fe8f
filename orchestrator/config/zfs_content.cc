#include "orchestrator/config/zfs_content.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "orchestrator/config/names.h"
#include "orchestrator/config/zfs_acl.h"

namespace phoenix::config {
namespace {

constexpr std::size_t kLongestPath = 1023;
constexpr std::size_t kLongestPart = 255;

std::string ReadOwner(const Cursor& cursor) {
  const bool number = cursor.present() && cursor.json().is_number_unsigned();
  const auto text = number ? std::optional(cursor.json().dump()) : cursor.String();
  if (!text.has_value()) return {};
  const auto problem = UserNameProblem(*text);
  if (problem.has_value() && !IsId(*text)) {
    cursor.Error("invalid-name", "this is no user or group", *problem + "; or a number");
    return {};
  }
  return *text;
}

// Nothing where it is absent, or after an error.
std::optional<std::uint32_t> ReadMode(const Cursor& mode, std::uint32_t most) {
  if (!mode.present()) return std::nullopt;
  // A JSON number is refused: 770 written so would be decimal, which nobody means.
  const std::string text = mode.is_string() ? mode.json().get<std::string>() : "";
  const bool is_octal =
      text.size() >= 3 && text.size() <= 5 && text.find_first_not_of("01234567") == std::string::npos;
  if (is_octal) {
    const auto bits = static_cast<std::uint32_t>(std::stoul(text, nullptr, 8));
    if (bits <= most) return bits;
  }
  mode.Error("invalid-mode", "this is no file mode",
             fmt::format("an octal string from \"000\" to \"{:o}\"", most));
  return std::nullopt;
}

// What is allowed where the path is none of a file below a mount root.
std::optional<std::string> PathProblem(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.size() > kLongestPath || !IsPrintable(path))
    return "a relative path of at most 1023 printable ASCII characters, like conf/app.conf";
  for (std::string_view rest = path;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > kLongestPart)
      return "a path without empty parts, . and .., and without a slash at its end; parts of at most 255 "
             "characters";
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (IsAtOrBelow(path, ".zfs")) return "a path outside of .zfs, where ZFS shows snapshots";
  return std::nullopt;
}

// False after an error.
bool ReadPath(const Cursor& cursor, const Dataset& dataset, DatasetFile& file) {
  const Cursor path = cursor.Key("path");
  if (!path.present()) {
    path.Error("missing", "this file has no path", "a path below the dataset's mount point");
    return false;
  }
  const auto text = path.String();
  if (!text.has_value()) return false;
  if (const auto problem = PathProblem(*text)) {
    path.Error("invalid-path", "this is no path of a file in a dataset", *problem);
    return false;
  }
  file.path = *text;
  for (const DatasetFile& other : dataset.files) {
    if (!IsAtOrBelow(other.path, file.path) && !IsAtOrBelow(file.path, other.path)) continue;
    path.Error("duplicate-path",
               other.path == file.path
                   ? fmt::format("this file was declared before, at {}", other.origin.ToString())
                   : fmt::format("a path is a file or a folder; {} is declared at {}", Quoted(other.path),
                                 other.origin.ToString()),
               "every path once");
    return false;
  }
  return true;
}

// False after an error. What is in the content is shown nowhere.
bool ReadContent(const Cursor& cursor, DatasetFile& file) {
  const Cursor content = cursor.Key("content");
  if (!content.present()) {
    content.Error("missing", "this file has no content", "a string, \"\" for an empty file");
    return false;
  }
  if (!content.is_string()) {
    content.findings().Error("wrong-type", content.origin(), "this is no text", "", "a string");
    return false;
  }
  file.content = content.json().get<std::string>();
  if (file.content.size() <= kMostFileBytes) return true;
  content.findings().Error("too-long", content.origin(), "this file is too long to be delivered",
                           fmt::format("{} bytes", file.content.size()), "at most 64 KiB");
  return false;
}

void ReadFile(const Cursor& cursor, Dataset& dataset) {
  if (!cursor.RequireObject()) return;
  cursor.ExpectKeys({"path", "content", "owner", "group", "mode"});
  DatasetFile file;
  file.origin = cursor.origin();
  const bool placed = ReadPath(cursor, dataset, file);
  const bool filled = ReadContent(cursor, file);
  if (std::string owner = ReadOwner(cursor.Key("owner")); !owner.empty()) file.owner = std::move(owner);
  if (std::string group = ReadOwner(cursor.Key("group")); !group.empty()) file.group = std::move(group);
  // A setuid program is not what anybody means by a file in a configuration.
  file.mode = ReadMode(cursor.Key("mode"), 0777).value_or(file.mode);
  if (placed && filled) dataset.files.push_back(std::move(file));
}

std::size_t BytesOf(const Dataset& dataset) {
  std::size_t bytes = 0;
  for (const DatasetFile& file : dataset.files) bytes += file.content.size();
  return bytes;
}

}  // namespace

void ReadOwnership(const Cursor& cursor, Dataset& dataset) {
  const Cursor owner = cursor.Key("owner");
  const Cursor group = cursor.Key("group");
  const Cursor mode = cursor.Key("mode");
  const Cursor acl = cursor.Key("acl");
  if (!owner.present() && !group.present() && !mode.present() && !acl.present()) return;
  Ownership ownership;
  ownership.owner = ReadOwner(owner);
  ownership.group = ReadOwner(group);
  ownership.mode = ReadMode(mode, 07777);
  ReadRootAcl(acl, mode, ownership);
  dataset.ownership = ownership;
}

void ReadRecursiveOwner(const Cursor& cursor, Dataset& dataset) {
  const Cursor recursive = cursor.Key("recursive_owner");
  dataset.recursive_owner = recursive.Bool().value_or(false);
  if (dataset.recursive_owner && dataset.ownership && dataset.ownership->acl) {
    recursive.Error("contradicting-acl",
                    "an access control list is given to the root directory, this to everything",
                    "one of the two");
  }
  if (dataset.recursive_owner && !dataset.ownership) {
    recursive.Error("missing-owner", "there is nothing to give to everything in the dataset",
                    "owner, group or mode beside it");
  }
}

void ReadFiles(const Cursor& cursor, Dataset& dataset) {
  const Cursor files = cursor.Key("files");
  for (const Cursor& file : files.Elements()) ReadFile(file, dataset);
  if (const std::size_t bytes = BytesOf(dataset); bytes > kMostDatasetBytes) {
    files.findings().Error("too-long", files.origin(), "the files of this dataset are too long together",
                           fmt::format("{} bytes", bytes), "at most 256 KiB");
  }
}

void CheckFilesTogether(const Cursor& datasets, const Config& config) {
  std::size_t bytes = 0;
  for (const Dataset& dataset : config.datasets) {
    if (dataset.files.empty()) continue;
    bytes += BytesOf(dataset);
    if (dataset.mountpoint.empty()) {
      datasets.findings().Error("not-mounted", dataset.files.front().origin,
                                "ZFS mounts this dataset nowhere, so that no file can be delivered into it",
                                "", "a mount point");
    }
  }
  if (bytes <= kMostBytes) return;
  datasets.findings().Error("too-long", datasets.origin(), "the files of all datasets are too long together",
                            fmt::format("{} bytes", bytes), "at most 1 MiB");
}

}  // namespace phoenix::config

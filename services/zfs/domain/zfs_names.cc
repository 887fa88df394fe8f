#include "services/zfs/domain/zfs_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace phoenix::zfs {
namespace {

constexpr size_t kLongestName = 255;

std::string WrongComponent(std::string_view part) {
  if (part.empty()) return "has an empty component";
  if (std::isalnum(static_cast<unsigned char>(part[0])) == 0) {
    return fmt::format("component '{}' must begin with a letter or digit", part);
  }
  for (const char c : part) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::string_view("_.:-").find(c) == std::string_view::npos) {
      return fmt::format("component '{}' may hold letters, digits and _ . : - only", part);
    }
  }
  return "";
}

constexpr std::string_view kCheckpoint = "phoenix-run-";
constexpr std::string_view kTrashedSnapshot = "phoenix-trash:";

// What follows the "@".
std::string_view SnapshotPart(std::string_view snapshot) {
  return snapshot.substr(std::min(snapshot.find('@'), snapshot.size() - 1) + 1);
}

// "vm-100-disk-0", "base-9000-disk-1", "subvol-101-disk-0", "vm-100-state-before" …
bool IsGuestComponent(std::string_view part) {
  for (const std::string_view kind : {"vm-", "base-", "subvol-", "basevol-"}) {
    if (!part.starts_with(kind)) continue;
    const std::string_view rest = part.substr(kind.size());
    const auto digits = rest.find_first_not_of("0123456789");
    return digits != std::string_view::npos && digits > 0 && rest[digits] == '-';
  }
  return false;
}

std::string Aside(std::string_view dataset, std::string_view kind, std::string_view run_id) {
  return fmt::format("{}/.phoenix/{}/{}", PoolOf(dataset), kind, run_id);
}

}  // namespace

std::string WrongPoolName(std::string_view name) {
  if (const std::string wrong = WrongComponent(name); !wrong.empty()) return wrong;
  if (std::isalpha(static_cast<unsigned char>(name[0])) == 0) return "must begin with a letter";
  if (name.size() > kLongestName) return "is longer than 255 characters";
  // ZFS takes these for vdev types.
  for (const std::string_view reserved : {"mirror", "raidz", "draid", "spare"}) {
    if (name.starts_with(reserved)) return fmt::format("begins with the reserved word '{}'", reserved);
  }
  if (name == "log" || name == "cache" || name == "special" || name == "dedup") return "is a reserved word";
  return "";
}

std::string WrongDatasetName(std::string_view name) {
  if (name.size() > kLongestName) return "is longer than 255 characters";
  const std::string pool = PoolOf(name);
  if (std::string wrong = WrongPoolName(pool); !wrong.empty()) return wrong;
  std::string_view rest = name.substr(pool.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto slash = rest.find('/');
    if (std::string wrong = WrongComponent(rest.substr(0, slash)); !wrong.empty()) return wrong;
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  }
  return "";
}

std::string WrongSnapshotName(std::string_view name) {
  const auto at = name.find('@');
  if (at == std::string_view::npos) return "is not of the form dataset@snapshot";
  if (name.size() > kLongestName) return "is longer than 255 characters";
  if (std::string wrong = WrongDatasetName(name.substr(0, at)); !wrong.empty()) return wrong;
  return WrongComponent(name.substr(at + 1));
}

std::string WrongListedName(std::string_view name) {
  if (name.size() > kLongestName) return "is longer than 255 characters";
  const std::string pool = PoolOf(name);
  if (std::string wrong = WrongPoolName(pool); !wrong.empty()) return wrong;
  const std::string rest = std::string(name.substr(pool.size())) + "/";
  for (const char c : rest) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::string_view("_.:-/ ").find(c) == std::string_view::npos) {
      return fmt::format("'{}' may hold letters, digits, blanks and _ . : - only", name);
    }
  }
  for (const std::string_view wrong : {"//", "/./", "/../"}) {
    if (rest.find(wrong) != std::string::npos) return "has an empty component, . or ..";
  }
  return "";
}

std::string WrongFilePath(std::string_view path) {
  constexpr size_t kLongestPath = 1023, kLongestPart = 255;
  if (path.empty()) return "is empty";
  if (path.front() == '/') return "is not relative to the dataset";
  if (path.size() > kLongestPath) return "is longer than 1023 characters";
  for (const char c : path) {
    if (c < 0x20 || c > 0x7e) return "holds a character that is not printable ASCII";
  }
  for (std::string_view rest = path; true;) {
    const auto slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return "has an empty part, . or ..";
    if (part.size() > kLongestPart) return "has a part that is longer than 255 characters";
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (IsBelow(path, ".zfs")) return "lies in .zfs, which is ZFS's own";
  return "";
}

std::string PoolOf(std::string_view dataset) {
  return std::string(dataset.substr(0, dataset.find_first_of("/@")));
}

std::string ParentOf(std::string_view dataset) {
  const auto slash = dataset.rfind('/');
  return slash == std::string_view::npos ? "" : std::string(dataset.substr(0, slash));
}

std::string LastOf(std::string_view dataset) { return std::string(dataset.substr(dataset.rfind('/') + 1)); }

std::string DatasetOf(std::string_view snapshot) {
  return std::string(snapshot.substr(0, snapshot.find('@')));
}

bool IsBelow(std::string_view dataset, std::string_view of) {
  return dataset.starts_with(of) && (dataset.size() == of.size() || dataset[of.size()] == '/');
}

std::string DirectoryOf(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string TrashOf(std::string_view dataset, std::string_view run_id) {
  return Aside(dataset, "trash", run_id);
}

std::string KeptOf(std::string_view dataset, std::string_view run_id) {
  return Aside(dataset, "kept", run_id);
}

std::string AsideName(std::string_view container, std::string_view dataset) {
  std::string flat(dataset.substr(std::min(dataset.size(), PoolOf(dataset).size() + 1)));
  std::replace(flat.begin(), flat.end(), '/', ':');
  return fmt::format("{}/{}", container, flat);
}

std::string CheckpointOf(std::string_view dataset, std::string_view run_id) {
  return fmt::format("{}@{}{}", dataset, kCheckpoint, run_id);
}

std::string ContentSnapshotOf(std::string_view dataset, std::string_view run_id) {
  return CheckpointOf(dataset, run_id) + ":content";
}

std::string GivenSnapshotOf(std::string_view dataset, std::string_view run_id) {
  return CheckpointOf(dataset, run_id) + ":given";
}

std::string RunOfCheckpoint(std::string_view snapshot) {
  const std::string_view part = SnapshotPart(snapshot);
  if (!part.starts_with(kCheckpoint)) return "";
  const std::string_view run = part.substr(kCheckpoint.size());
  return std::string(run.substr(0, run.find(':')));
}

std::string HoldOf(std::string_view run_id) { return fmt::format("phoenix:{}", run_id); }

std::string TrashedSnapshot(std::string_view snapshot, std::string_view run_id) {
  return fmt::format("{}@{}{}:{}", DatasetOf(snapshot), kTrashedSnapshot, run_id, SnapshotPart(snapshot));
}

std::string RunOfTrashedSnapshot(std::string_view snapshot) {
  std::string_view part = SnapshotPart(snapshot);
  if (!part.starts_with(kTrashedSnapshot)) return "";
  part.remove_prefix(kTrashedSnapshot.size());
  return std::string(part.substr(0, part.find(':')));
}

bool IsGuestVolume(std::string_view dataset) {
  while (!dataset.empty()) {
    const auto slash = dataset.find('/');
    if (IsGuestComponent(dataset.substr(0, slash))) return true;
    if (slash == std::string_view::npos) return false;
    dataset.remove_prefix(slash + 1);
  }
  return false;
}

bool IsAside(std::string_view dataset, std::string_view kind) {
  const std::string top = PoolOf(dataset) + "/.phoenix/" + std::string(kind);
  return IsBelow(dataset, top) && std::count(dataset.begin(), dataset.end(), '/') == 4;
}

std::string RunOfAside(std::string_view dataset, std::string_view kind) {
  return IsAside(dataset, kind) ? LastOf(ParentOf(dataset)) : "";
}

bool IsDiscarded(std::string_view dataset) {
  // What could be deleted otherwise begins with no dot.
  return IsAside(dataset, "trash") && LastOf(dataset).starts_with(".phoenix:kept:");
}

bool IsContainer(std::string_view dataset) {
  return IsBelow(dataset, PoolOf(dataset) + "/.phoenix") &&
         std::count(dataset.begin(), dataset.end(), '/') <= 3;
}

}  // namespace phoenix::zfs

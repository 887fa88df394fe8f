#include "orchestrator/config/lxc_section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "orchestrator/config/json_cursor.h"
#include "orchestrator/config/json_document.h"
#include "orchestrator/config/names.h"
#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

constexpr std::uint64_t kLargestGib = 1024 * 1024;
constexpr const char* kSizeAllowed = "whole GiB from 1 to 1048576, as a number or a string (\"50\", \"50G\")";
constexpr const char* kPathAllowed =
    "an absolute path other than /, without ., .. and commas, in plain ASCII (Proxmox VE parts its values at "
    "commas)";

std::optional<std::uint32_t> ContainerId(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 100 || id > 999999999)
    return std::nullopt;
  // 0101 would be another text for the container 101.
  return text.front() == '0' ? std::nullopt : std::optional(id);
}

// Proxmox VE writes "PATH,mp=PATH": nothing in it can be escaped.
std::optional<std::string> ReadPlainPath(const Cursor& cursor) {
  if (!cursor.present()) {
    cursor.Error("missing", "the path is missing", kPathAllowed);
    return std::nullopt;
  }
  const auto text = cursor.String();
  if (!text.has_value()) return std::nullopt;
  auto path = NormalisedPath(*text);
  if (!path.has_value() || *path == "/" || path->find_first_of(",=") != std::string::npos ||
      path->back() == ' ') {
    cursor.Error("invalid-path", "this is no usable path", kPathAllowed);
    return std::nullopt;
  }
  return path;
}

std::optional<std::uint64_t> ReadGib(const Cursor& cursor) {
  if (!cursor.present()) {
    cursor.Error("missing", "the size is missing", kSizeAllowed);
    return std::nullopt;
  }
  std::optional<std::uint64_t> size;
  if (cursor.is_string()) {
    std::string_view digits = Trimmed(cursor.json().get_ref<const std::string&>());
    for (const std::string_view unit : {"GiB", "GB", "G", "g"}) {
      if (digits.ends_with(unit)) {
        digits = Trimmed(digits.substr(0, digits.size() - unit.size()));
        break;
      }
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (!digits.empty() && error == std::errc() && end == digits.data() + digits.size()) size = value;
  } else if (cursor.json().is_number_unsigned()) {
    size = cursor.json().get<std::uint64_t>();
  }
  if (size.has_value() && *size >= 1 && *size <= kLargestGib) return size;
  cursor.Error("invalid-size", "this is no size of a volume", kSizeAllowed);
  return std::nullopt;
}

// False where it is no user's number. 4294967295 means "nobody" to the kernel.
bool ReadOwner(const Cursor& cursor, std::optional<std::uint32_t>& owner) {
  if (!cursor.present()) return true;
  const auto number = cursor.Unsigned();
  if (!number.has_value()) return false;
  if (*number >= std::numeric_limits<std::uint32_t>::max()) {
    cursor.Error("invalid-owner", "this is no number of a user or group", "0 to 4294967294");
    return false;
  }
  owner = static_cast<std::uint32_t>(*number);
  return true;
}

class ContainerReader {
 public:
  explicit ContainerReader(Container& container) : container_(container) {}

  void ReadVolumes(const Cursor& list) {
    for (const Cursor& element : list.Elements()) {
      if (element.RequireObject()) ReadVolume(element);
    }
  }

  void ReadMountPoints(const Cursor& list) {
    for (const Cursor& element : list.Elements()) {
      if (element.RequireObject()) ReadMountPoint(element);
    }
  }

 private:
  void ReadVolume(const Cursor& cursor) {
    cursor.ExpectKeys({"name", "pool", "size_gb", "mount_point", "backup", "read_only", "persistent"});
    ContainerVolume volume;
    volume.origin = cursor.origin();
    const bool named = ReadName(cursor.Key("name"), volume);
    const bool placed = ReadStorage(cursor.Key("pool"), volume);
    const auto size = ReadGib(cursor.Key("size_gb"));
    const auto path = TakePath(cursor.Key("mount_point"));
    volume.backup = cursor.Key("backup").Bool();
    volume.read_only = cursor.Key("read_only").Bool().value_or(false);
    volume.persistent = cursor.Key("persistent").Bool().value_or(false);
    if (volume.persistent && volume.backup == std::optional(true)) {
      cursor.Key("backup").Lint("not-in-backups",
                                "a persistent volume is a bind mount, which backups of Proxmox VE never "
                                "hold; this key has no effect: "
                                "snapshot or send its dataset");
    }
    if (!named || !placed || !size.has_value() || !path.has_value()) return;
    volume.size_gib = *size;
    volume.path = *path;
    container_.volumes.push_back(std::move(volume));
  }

  bool ReadName(const Cursor& cursor, ContainerVolume& volume) {
    if (!cursor.present()) cursor.Error("missing", "the volume has no name", "a name such as data");
    const auto name = cursor.String();
    if (!name.has_value()) return false;
    volume.name = *name;
    // The rule of one component of a dataset: it may become part of one.
    const auto problem = DatasetNameProblem(*name);
    if (problem.has_value() || name->find('/') != std::string::npos) {
      cursor.Error("invalid-name", "this is no name of a volume", problem.value_or("a name without /"));
      return false;
    }
    const auto [used, fresh] = names_.emplace(*name, cursor.origin());
    if (fresh) return true;
    cursor.Error("duplicate-name",
                 fmt::format("this volume is declared before, at {}", used->second.ToString()),
                 "every volume of a container once");
    return false;
  }

  static bool ReadStorage(const Cursor& cursor, ContainerVolume& volume) {
    if (!cursor.present()) cursor.Error("missing", "the volume has no storage", "the id of a storage");
    const auto id = cursor.String();
    if (!id.has_value()) return false;
    volume.storage = *id;
    // `local` is a storage that one may use here, though not declare.
    const auto problem = *id == "local" ? std::nullopt : StorageIdProblem(*id);
    if (problem.has_value()) cursor.Error("invalid-name", "this is no storage id", *problem);
    return !problem.has_value();
  }

  void ReadMountPoint(const Cursor& cursor) {
    cursor.ExpectKeys({"host_path", "container_path", "owner_uid", "owner_gid", "read_only", "state"});
    ContainerBind bind;
    bind.origin = cursor.origin();
    auto host_path = ReadPlainPath(cursor.Key("host_path"));
    if (host_path.has_value() && IsAtOrBelow(*host_path, "/dev")) {
      cursor.Key("host_path")
          .Error("invalid-path", "Proxmox VE takes a path below /dev for a device", "a directory");
      host_path.reset();
    }
    const auto path = TakePath(cursor.Key("container_path"));
    const bool user = ReadOwner(cursor.Key("owner_uid"), bind.owner_uid);
    const bool group = ReadOwner(cursor.Key("owner_gid"), bind.owner_gid);
    bind.read_only = cursor.Key("read_only").Bool().value_or(false);
    const auto absent = ReadAbsent(cursor);
    if (!host_path.has_value() || !path.has_value() || !user || !group || !absent.has_value()) return;
    bind.absent = *absent;
    bind.host_path = *host_path;
    bind.path = *path;
    container_.binds.push_back(std::move(bind));
  }

  std::optional<std::string> TakePath(const Cursor& cursor) {
    auto path = ReadPlainPath(cursor);
    if (!path.has_value()) return path;
    const auto [used, fresh] = paths_.emplace(*path, cursor.origin());
    if (fresh) return path;
    cursor.Error("duplicate-mount-point",
                 fmt::format("something is mounted at this place of the container before, at {}",
                             used->second.ToString()),
                 "one volume or directory for each path");
    return std::nullopt;
  }

  Container& container_;
  std::map<std::string, Origin> names_;
  std::map<std::string, Origin> paths_;
};

// Only where they matter: other tools may mean something else by these keys.
void ReadPlace(const Cursor& cursor, Container& container) {
  if (std::none_of(container.volumes.begin(), container.volumes.end(),
                   [](const ContainerVolume& volume) { return volume.persistent; }))
    return;
  container.node = cursor.Key("node").String().value_or("");
  container.unprivileged = cursor.Key("unprivileged").Bool().value_or(true);
}

Container& ContainerOf(std::vector<Container>& containers, std::uint32_t id, const Origin& origin) {
  const auto found =
      std::find_if(containers.begin(), containers.end(), [&](const Container& c) { return c.id == id; });
  if (found != containers.end()) return *found;
  Container container;
  container.id = id;
  container.origin = origin;
  containers.push_back(std::move(container));
  return containers.back();
}

void SortById(std::vector<Container>& containers) {
  std::sort(containers.begin(), containers.end(),
            [](const Container& a, const Container& b) { return a.id < b.id; });
}

}  // namespace

absl::Status LxcResult::ToStatus() const {
  return ok() ? absl::OkStatus() : absl::InvalidArgumentError(Render(findings.errors));
}

LxcResult LoadLxc(std::string_view json_text) {
  LxcResult result;
  const std::optional<JsonDocument> document = JsonDocument::Parse(json_text, result.findings);
  if (!document.has_value()) return result;
  const Cursor root = Cursor::Root(*document, result.findings);
  if (!root.RequireObject()) return result;
  const Cursor configs = root.Key("lxc_configs");
  if (!configs.present()) {
    configs.Error("missing", "this file declares no containers", "an object of containers by their ids");
  }
  for (const auto& [key, value] : configs.Members()) {
    const auto id = ContainerId(key);
    if (!id.has_value()) {
      result.findings.Error("invalid-container", value.origin(), "this is no container id", Quoted(key),
                            "a number from 100 to 999999999");
      continue;
    }
    result.declared.insert(*id);
    if (!value.RequireObject()) continue;
    Container container;
    container.id = *id;
    container.origin = value.origin();
    ContainerReader reader(container);
    reader.ReadVolumes(value.Key("zfs_volumes"));
    reader.ReadVolumes(value.Key("volumes"));
    reader.ReadMountPoints(value.Key("mount_points"));
    ReadPlace(value, container);
    if (!container.volumes.empty() || !container.binds.empty())
      result.containers.push_back(std::move(container));
  }
  SortById(result.containers);
  result.findings.SortByPlace();
  return result;
}

std::vector<Container> WithSharedVolumes(const LxcResult* lxc, const Config& config, Findings& findings) {
  std::vector<Container> containers;
  if (lxc != nullptr) containers = lxc->containers;
  for (const SharedVolume& shared : config.shared_volumes) {
    for (const auto& [id, path] : shared.mounts) {
      if ((path + shared.host_path).find(',') != std::string::npos) {
        findings.Error("invalid-path", shared.origin, "this path cannot be mounted into a container",
                       Quoted(shared.host_path), kPathAllowed);
        continue;
      }
      Container& container = ContainerOf(containers, id, shared.origin);
      const auto volume = std::find_if(container.volumes.begin(), container.volumes.end(),
                                       [&](const ContainerVolume& v) { return v.path == path; });
      const auto bind = std::find_if(container.binds.begin(), container.binds.end(),
                                     [&](const ContainerBind& b) { return b.path == path; });
      const bool taken = volume != container.volumes.end();
      if (taken || (bind != container.binds.end() && (bind->absent || bind->host_path != shared.host_path))) {
        const Origin& other = taken ? volume->origin : bind->origin;
        findings.Error(
            "duplicate-mount-point", shared.origin,
            fmt::format("{} of container {} is taken by something else, at {}", path, id, other.ToString()),
            Quoted(shared.host_path), "one volume or directory for each path");
      } else if (bind == container.binds.end()) {
        container.binds.push_back({shared.host_path, path, {}, {}, false, shared.origin, {}, {}});
      }
      if (lxc != nullptr && lxc->declared.count(id) == 0) {
        findings.Lint(
            "undeclared-container", shared.origin,
            fmt::format("the container file does not declare container {}, so that nothing is mounted "
                        "into it",
                        id));
      }
    }
  }
  std::erase_if(containers, [&](const Container& container) {
    return lxc == nullptr || lxc->declared.count(container.id) == 0;
  });
  SortById(containers);
  return containers;
}

std::vector<std::pair<Origin, std::string>> WaitingForContainers(const Config& config) {
  std::vector<std::pair<Origin, std::string>> waiting;
  for (const SharedVolume& shared : config.shared_volumes) {
    std::vector<std::string> ids;
    for (const auto& [id, path] : shared.mounts) ids.push_back(fmt::to_string(id));
    if (ids.empty()) continue;
    waiting.emplace_back(
        shared.origin,
        fmt::format("{} is mounted into containers ({}) by a run that is given the container file "
                    "that declares them (--lxc FILE); this one leaves them alone",
                    shared.host_path, fmt::join(ids, ", ")));
  }
  return waiting;
}

}  // namespace phoenix::config

#include "services/proxmox/host/container_config_parse.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// The piece before the next separator, which goes from `rest` with it.
std::string_view Take(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view piece = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return piece;
}

template <class Number>
std::optional<Number> ToNumber(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "8G", "512M", "1.5T", or bytes.
std::optional<uint64_t> ParseSize(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const size_t unit = std::string_view("KMGT").find(text.back());
  if (unit == std::string_view::npos) return ToNumber<uint64_t>(text);
  text.remove_suffix(1);
  const int shift = 10 * (static_cast<int>(unit) + 1);
  if (const auto whole = ToNumber<uint64_t>(text)) {
    if ((*whole << shift) >> shift != *whole) return std::nullopt;
    return *whole << shift;
  }
  const auto number = ToNumber<double>(text);
  if (!number || !(*number >= 0) || !(*number < 1e9)) return std::nullopt;
  return static_cast<uint64_t>(std::ldexp(*number, shift));
}

// N of a key like mp0; nullopt for any other key.
std::optional<int> NumberOf(std::string_view key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return std::nullopt;
  const auto number = ToNumber<int>(key.substr(prefix.size()));
  return number && *number >= 0 && *number <= 255 ? number : std::nullopt;
}

bool IsYes(std::string_view value) {
  return value == "1" || value == "yes" || value == "on" || value == "true";
}

class Reader {
 public:
  ContainerConfig Read(std::string_view text) {
    config_.digest = Sha1Hex(text);
    while (!text.empty()) {
      const std::string_view line = Trim(Take(text, '\n'));
      // A description may hold anything, "mp0: …" too.
      if (line.empty() || line.front() == '#') continue;
      if (line.front() == '[' && line.back() == ']') {
        Enter(line.substr(1, line.size() - 2));
      } else {
        ReadLine(line);
      }
    }
    return std::move(config_);
  }

 private:
  enum class Section { kInForce, kPending, kSnapshot, kOther };

  void Enter(std::string_view name) {
    // pve:pending in any case, as the genuine reader takes it; others with a colon are not snapshots.
    std::string lower(name);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower == "pve:pending") {
      section_ = Section::kPending;
    } else if (name.find(':') != std::string_view::npos) {
      section_ = Section::kOther;
    } else {
      section_ = Section::kSnapshot;
      config_.snapshots.emplace(name);
    }
  }

  void ReadLine(std::string_view line) {
    if (line.starts_with("lxc.")) {
      if (section_ == Section::kInForce) ReadRaw(line);
      return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = Trim(line.substr(colon + 1));
    switch (section_) {
      case Section::kInForce:
        InForce(key, value, line);
        break;
      case Section::kPending:
        Pending(key, value, line);
        break;
      case Section::kSnapshot:
        Snapshot(key, value);
        break;
      case Section::kOther:
        break;
    }
  }

  void InForce(std::string_view key, std::string_view value, std::string_view line) {
    if (const auto number = NumberOf(key, "mp")) {
      Mount(value, line, *number, config_.mounts);
    } else if (const auto free = NumberOf(key, "unused")) {
      config_.unused[*free] = std::string(value);
    } else if (key == "rootfs") {
      config_.rootfs = SourceOf(value);
    } else if (key == "unprivileged") {
      config_.unprivileged = IsYes(value);
    } else if (key == "protection") {
      config_.protection = IsYes(value);
    } else if (key == "template") {
      config_.is_template = IsYes(value);
    } else if (key == "lock") {
      config_.lock = std::string(value);
    }
  }

  void Pending(std::string_view key, std::string_view value, std::string_view line) {
    if (const auto number = NumberOf(key, "mp")) {
      Mount(value, line, *number, config_.pending_mounts);
    } else if (key == "delete") {
      // Proxmox VE writes commas, and reads blanks and semicolons, too.
      while (!value.empty()) {
        const size_t end = value.find_first_of(",; \t");
        std::string_view word = value.substr(0, end);
        value = end == std::string_view::npos ? std::string_view() : value.substr(end + 1);
        // A removal by force, which frees the volume, too.
        if (!word.empty() && word.front() == '!') word.remove_prefix(1);
        if (!word.empty()) config_.pending_removals.emplace(word);
      }
    }
  }

  void Snapshot(std::string_view key, std::string_view value) {
    if (!NumberOf(key, "mp") && !NumberOf(key, "unused") && key != "rootfs") return;
    std::string source = SourceOf(value);
    if (!source.empty() && source.front() != '/') config_.snapshot_volumes.insert(std::move(source));
  }

  void Mount(std::string_view value, std::string_view line, int number,
             std::map<int, ContainerMount>& mounts) {
    if (auto mount = ParseContainerMount(value)) {
      mounts[number] = std::move(*mount);
    } else {
      config_.unreadable.emplace_back(line);
    }
  }

  static std::string SourceOf(std::string_view value) {
    std::string_view source = Take(value, ',');
    if (source.starts_with("volume=")) source.remove_prefix(7);
    return std::string(source);
  }

  // "KEY: VALUE", also with "=": what LXC itself reads.
  void ReadRaw(std::string_view line) {
    const size_t end = line.find_first_of(":= \t");
    const std::string_view key = line.substr(0, end);
    if (end == std::string_view::npos) return;
    const size_t begin = line.find_first_not_of(":= \t", end);
    if (begin == std::string_view::npos) return;
    if (key == "lxc.idmap" || key == "lxc.id_map") {
      ReadIdMap(line.substr(begin));
    } else if (key == "lxc.mount.entry") {
      ReadEntry(line.substr(begin), line);
    }
  }

  static std::string_view Word(std::string_view& rest) {
    rest = Trim(rest);
    const size_t stop = rest.find_first_of(kBlanks);
    const std::string_view found = rest.substr(0, stop);
    rest = stop == std::string_view::npos ? std::string_view() : rest.substr(stop);
    return found;
  }

  // "SOURCE TARGET TYPE OPTIONS 0 0", as in fstab. LXC takes the target from the container's root on.
  void ReadEntry(std::string_view value, std::string_view line) {
    (void)Word(value);
    std::string path = "/" + Unescaped(Word(value));
    // An absolute target is one below LXC's own mount of the root.
    if (const size_t root = path.find("/rootfs/");
        path.starts_with("//var/lib/lxc/") && root != std::string::npos)
      path.erase(0, root + 7);
    path = CleanPath(path);
    if (path.size() > 1) config_.raw_mounts.push_back({std::move(path), std::string(line)});
  }

  // A blank in a name is written \040 there.
  static std::string Unescaped(std::string_view text) {
    std::string plain;
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    for (size_t at = 0; at < text.size(); ++at) {
      if (text[at] == '\\' && at + 3 < text.size() && octal(text[at + 1]) && octal(text[at + 2]) &&
          octal(text[at + 3])) {
        plain +=
            static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
        at += 3;
      } else {
        plain += text[at];
      }
    }
    return plain;
  }

  // "u 0 100000 65536".
  void ReadIdMap(std::string_view rest) {
    const std::string_view kind = Word(rest);
    const auto inside = ToNumber<uint32_t>(Word(rest));
    const auto outside = ToNumber<uint32_t>(Word(rest));
    const auto count = ToNumber<uint32_t>(Word(rest));
    if (!inside || !outside || !count) return;
    if (kind == "u" || kind == "b") config_.users.push_back({*inside, *outside, *count});
    if (kind == "g" || kind == "b") config_.groups.push_back({*inside, *outside, *count});
  }

  ContainerConfig config_;
  Section section_ = Section::kInForce;
};

}  // namespace

std::optional<ContainerMount> ParseContainerMount(std::string_view text) {
  ContainerMount mount;
  while (!text.empty()) {
    const std::string_view piece = Take(text, ',');
    const size_t equals = piece.find('=');
    // The volume is the only value that may stand without its name.
    const bool bare = equals == std::string_view::npos;
    const std::string_view key = bare ? "volume" : piece.substr(0, equals);
    const std::string_view value = bare ? piece : piece.substr(equals + 1);
    if (key == "volume") {
      if (!mount.source.empty()) return std::nullopt;
      mount.source = std::string(value);
    } else if (key == "mp") {
      mount.path = std::string(value);
    } else if (key == "size") {
      mount.size = ParseSize(value);
      if (!mount.size) return std::nullopt;
    } else {
      mount.options[std::string(key)] = std::string(value);
    }
  }
  if (mount.source.empty() || mount.path.empty()) return std::nullopt;
  return mount;
}

ContainerConfig ParseContainerConfig(std::string_view text) { return Reader().Read(text); }

std::set<uint32_t> ParseReplicatedGuests(std::string_view text) {
  std::set<uint32_t> guests;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    // "local: 101-0" begins a job; its fields are indented.
    const size_t colon = line.find(':');
    if (line.empty() || kBlanks.find(line.front()) != std::string_view::npos || line.front() == '#' ||
        colon == std::string_view::npos)
      continue;
    const std::string_view id = Trim(line.substr(colon + 1));
    uint32_t guest = 0;
    if (std::from_chars(id.data(), id.data() + id.size(), guest).ec == std::errc()) guests.insert(guest);
  }
  return guests;
}

}  // namespace phoenix::proxmox

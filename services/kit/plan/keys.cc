#include "services/kit/plan/keys.h"

#include <algorithm>

namespace phoenix::kit {
namespace {

constexpr std::string_view kDefinition = "definition";
constexpr std::string_view kRemote = "remote";

// At the first space.
std::pair<std::string_view, std::string_view> HeadAndRest(std::string_view text) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return {text, {}};
  return {text.substr(0, space), text.substr(space + 1)};
}

bool IsAtOrBelow(std::string_view path, std::string_view above) {
  if (!path.starts_with(above)) return false;
  return path.size() == above.size() || above.ends_with('/') || path[above.size()] == '/';
}

}  // namespace

std::string Key(std::string_view kind, std::string_view name) {
  std::string key(kind);
  key += ':';
  key += name;
  return key;
}

std::string_view KindOf(std::string_view key) { return key.substr(0, key.find(':')); }

std::string_view NameOf(std::string_view key) {
  const auto colon = key.find(':');
  return colon == std::string_view::npos ? std::string_view() : key.substr(colon + 1);
}

std::string DefinitionKey(std::string_view cluster, std::string_view object, std::string_view text) {
  std::string name(cluster);
  name += '/';
  name += object;
  name += ' ';
  name += text;
  return Key(kDefinition, name);
}

std::pair<std::string_view, std::string_view> ObjectAndDefinition(std::string_view key) {
  return HeadAndRest(NameOf(key));
}

bool IsDefinition(std::string_view key) { return KindOf(key) == kDefinition; }

std::string RemoteKey(std::string_view server, std::string_view key) {
  std::string name(server);
  name += ' ';
  name += key;
  return Key(kRemote, name);
}

std::optional<std::pair<std::string_view, std::string_view>> ServerAndKey(std::string_view key) {
  if (KindOf(key) != kRemote) return std::nullopt;
  return HeadAndRest(NameOf(key));
}

std::string FolderKey(std::string_view path, std::string_view way_out) {
  std::string key = Key("folder", path);
  if (!way_out.empty()) key.append("\n").append(way_out);
  return key;
}

std::string_view WayOutOf(std::string_view key) {
  const auto end = key.find('\n');
  return end == std::string_view::npos ? std::string_view() : key.substr(end + 1);
}

std::string_view WithoutWayOut(std::string_view key) { return key.substr(0, key.find('\n')); }

std::vector<std::string> WrittenPaths(const std::vector<std::string>& keys) {
  std::vector<std::string> paths;
  for (const std::string& key : keys) {
    if (KindOf(key) == "content" && NameOf(key).starts_with('/')) paths.emplace_back(NameOf(key));
  }
  return paths;
}

bool Satisfies(std::string_view provided, std::string_view required) {
  if (provided == required) return true;
  const std::string_view kind = KindOf(provided);
  if (KindOf(required) == "folder") {
    const std::string_view folder = NameOf(WithoutWayOut(required));
    if (kind == "tree") return IsAtOrBelow(folder, NameOf(provided));
    return (kind == "path" || kind == "folder") && NameOf(provided) == folder;
  }
  if (kind != "path" || KindOf(required) != "path") return false;
  return IsAtOrBelow(NameOf(required), NameOf(provided));
}

bool SatisfiedBy(const std::vector<std::string>& provided, std::string_view required) {
  return std::any_of(provided.begin(), provided.end(),
                     [&](const std::string& key) { return Satisfies(key, required); });
}

}  // namespace phoenix::kit

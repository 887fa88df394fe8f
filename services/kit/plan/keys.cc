#include "services/kit/plan/keys.h"

#include <algorithm>

namespace phoenix::kit {

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

std::vector<std::string> WrittenPaths(const std::vector<std::string>& keys) {
  std::vector<std::string> paths;
  for (const std::string& key : keys) {
    if (KindOf(key) == "content" && NameOf(key).starts_with('/')) paths.emplace_back(NameOf(key));
  }
  return paths;
}

bool Satisfies(std::string_view provided, std::string_view required) {
  if (provided == required) return true;
  if (KindOf(provided) != "path" || KindOf(required) != "path") return false;
  if (!required.starts_with(provided)) return false;
  return provided.ends_with('/') || required[provided.size()] == '/';
}

bool SatisfiedBy(const std::vector<std::string>& provided, std::string_view required) {
  return std::any_of(provided.begin(), provided.end(),
                     [&](const std::string& key) { return Satisfies(key, required); });
}

}  // namespace phoenix::kit

#include "services/nfs/host/server_conf.h"

#include <algorithm>
#include <cctype>

namespace phoenix::nfs {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char left, unsigned char right) {
    return std::tolower(left) == std::tolower(right);
  });
}

}  // namespace

std::optional<std::string> ServerConfValue(std::string_view text, std::string_view section,
                                           std::string_view name) {
  std::optional<std::string> value;
  bool inside = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with('[')) {
      inside = SameWord(Trim(line.substr(1, line.find(']') - 1)), section);
      continue;
    }
    const auto equals = line.find('=');
    if (!inside || line.starts_with('#') || line.starts_with(';') || equals == std::string_view::npos)
      continue;
    if (!SameWord(Trim(line.substr(0, equals)), name)) continue;
    std::string_view found = Trim(line.substr(equals + 1));
    if (found.size() >= 2 && found.front() == '"' && found.back() == '"')
      found = found.substr(1, found.size() - 2);
    value = std::string(found);
  }
  return value;
}

}  // namespace phoenix::nfs

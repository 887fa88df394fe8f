#include "services/samba/domain/smb_conf.h"

#include <algorithm>
#include <vector>

#include "base/status/errors.h"

namespace phoenix::samba {
namespace {

constexpr std::string_view kHeader =
    "# Written by Phoenix. Settings of your own belong into smb.conf: after a change of this file by hand "
    "Phoenix\n"
    "# refuses to change it any further.\n";
constexpr std::string_view kFooter =
    "\n# What follows the include line in smb.conf belongs to [global], not to the last share "
    "above.\n[global]\n";

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  while (!text.empty() && kBlanks.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && kBlanks.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

// A line as the parser of Samba sees it: continued ones are one. `begin` and `end` are its bytes, the newline
// included.
struct Line {
  size_t begin = 0;
  size_t end = 0;
  std::string text;  // trimmed
};

bool IsComment(const Line& line) { return line.text.empty() || line.text[0] == '#' || line.text[0] == ';'; }
bool IsSection(const Line& line) { return !line.text.empty() && line.text[0] == '['; }

std::vector<Line> LinesOf(std::string_view text) {
  std::vector<Line> lines;
  size_t at = 0;
  while (at < text.size()) {
    Line line{at, at, ""};
    bool continued = true;
    while (continued && at < text.size()) {
      const size_t newline = std::min(text.find('\n', at), text.size());
      std::string_view piece = Trimmed(text.substr(at, newline - at));
      at = std::min(newline + 1, text.size());
      const bool comment = line.text.empty() && !piece.empty() && (piece[0] == '#' || piece[0] == ';');
      // A comment ends with its line, whatever its last character.
      continued = !comment && !piece.empty() && piece.back() == '\\';
      if (continued) piece = Trimmed(piece.substr(0, piece.size() - 1));
      line.text += (line.text.empty() || piece.empty() ? "" : " ") + std::string(piece);
    }
    line.end = at;
    lines.push_back(std::move(line));
  }
  return lines;
}

// The name between the brackets.
std::string SectionName(const Line& line) {
  const auto close = line.text.find(']');
  return std::string(
      Trimmed(std::string_view(line.text).substr(1, close == std::string::npos ? close : close - 1)));
}

bool IsIncludeOf(const Line& line, std::string_view path) {
  if (IsComment(line) || IsSection(line)) return false;
  const auto equals = line.text.find('=');
  if (equals == std::string::npos) return false;
  return Squeezed(line.text.substr(0, equals)) == "include" &&
         Trimmed(std::string_view(line.text).substr(equals + 1)) == path;
}

std::string IncludeLine(std::string_view path) { return "include = " + std::string(path); }

void PutParameters(std::string& text, const Parameters& parameters) {
  for (const auto& [name, value] : parameters) {
    text += "\t" + name + " =" + (value.empty() ? "" : " ") + value + "\n";
  }
}

}  // namespace

std::string ShareKey(std::string_view name) {
  std::string key(name);
  std::transform(key.begin(), key.end(), key.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return key;
}

const Section* OwnFile::Find(std::string_view name) const {
  const auto found = shares.find(ShareKey(name));
  return found == shares.end() ? nullptr : &found->second;
}

void OwnFile::Put(Section section) { shares[ShareKey(section.name)] = std::move(section); }

void OwnFile::Remove(std::string_view name) { shares.erase(ShareKey(name)); }

std::string Render(const OwnFile& file) {
  std::string text(kHeader);
  if (!file.globals.empty()) {
    text += "\n[global]\n";
    PutParameters(text, file.globals);
  }
  for (const auto& [key, section] : file.shares) {
    text += "\n[" + section.name + "]\n";
    PutParameters(text, section.parameters);
  }
  text += kFooter;
  return text;
}

absl::StatusOr<OwnFile> ParseOwnFile(std::string_view text) {
  OwnFile file;
  Section* section = nullptr;
  for (const Line& line : LinesOf(text)) {
    if (IsComment(line)) continue;
    if (IsSection(line)) {
      const std::string name = SectionName(line);
      if (line.text.back() != ']' || name.empty())
        return FailedPrecondition("broken section header: {}", line.text);
      section = nullptr;
      if (ShareKey(name) == "global") continue;
      if (file.Find(name) != nullptr) return FailedPrecondition("the share [{}] stands twice", name);
      file.Put({name, {}});
      section = &file.shares[ShareKey(name)];
      continue;
    }
    const auto equals = line.text.find('=');
    if (equals == std::string::npos) return FailedPrecondition("no parameter and no section: {}", line.text);
    const std::string name(Trimmed(std::string_view(line.text).substr(0, equals)));
    const std::string value(Trimmed(std::string_view(line.text).substr(equals + 1)));
    if (!IsOneLine(name) || !IsOneLine(value))
      return FailedPrecondition("not UTF-8, or control characters in it");
    (section == nullptr ? file.globals : section->parameters)[name] = value;
  }
  return file;
}

Section SectionOf(const ShareSpec& share) {
  Section section{share.name, share.options};
  std::string users;
  for (const std::string& user : share.valid_users) users += (users.empty() ? "" : " ") + user;
  section.parameters["path"] = share.path;
  section.parameters["browseable"] = share.browseable ? "Yes" : "No";
  section.parameters["read only"] = share.read_only ? "Yes" : "No";
  section.parameters["guest ok"] = share.guest_ok ? "Yes" : "No";
  if (!users.empty()) section.parameters["valid users"] = users;
  return section;
}

bool Includes(std::string_view smb_conf, std::string_view path) {
  const auto lines = LinesOf(smb_conf);
  return std::any_of(lines.begin(), lines.end(), [&](const Line& line) { return IsIncludeOf(line, path); });
}

std::string AddInclude(std::string_view smb_conf, std::string_view path) {
  const auto lines = LinesOf(smb_conf);
  // Before the first header parameters are global, too.
  const bool has_header = std::any_of(lines.begin(), lines.end(), [](const Line& line) {
    return IsSection(line) && ShareKey(SectionName(line)) == "global";
  });
  bool in_global = !has_header;
  bool anchored = false;
  size_t anchor = 0;
  for (const Line& line : lines) {
    if (IsSection(line)) {
      if (in_global) break;
      in_global = ShareKey(SectionName(line)) == "global";
      if (!in_global) continue;
    } else if (!in_global || IsComment(line)) {
      continue;
    }
    anchor = line.end;
    anchored = true;
  }
  std::string text(smb_conf.substr(0, anchor));
  if (anchored && !text.empty() && text.back() != '\n') return text + "\n" + IncludeLine(path);
  return text + IncludeLine(path) + "\n" + std::string(smb_conf.substr(anchor));
}

std::string RemoveInclude(std::string_view smb_conf, std::string_view path) {
  for (const Line& line : LinesOf(smb_conf)) {
    if (!IsIncludeOf(line, path)) continue;
    size_t begin = line.begin;
    const bool ends_file_without_newline = line.end == smb_conf.size() && smb_conf.back() != '\n';
    // Then the newline before it was ours as well.
    if (ends_file_without_newline && begin > 0) --begin;
    return std::string(smb_conf.substr(0, begin)) + std::string(smb_conf.substr(line.end));
  }
  return std::string(smb_conf);
}

std::string RedirectInclude(std::string_view smb_conf, std::string_view path, std::string_view other) {
  for (const Line& line : LinesOf(smb_conf)) {
    if (!IsIncludeOf(line, path)) continue;
    return std::string(smb_conf.substr(0, line.begin)) + IncludeLine(other) + "\n" +
           std::string(smb_conf.substr(line.end));
  }
  return AddInclude(smb_conf, other);
}

std::string Difference(const Parameters& wanted, const Parameters& seen, const Parameters& defaults) {
  const auto value_of = [&](const std::string& name) -> std::string {
    if (const auto found = seen.find(name); found != seen.end()) return found->second;
    const auto found = defaults.find(name);
    return found == defaults.end() ? "" : found->second;
  };
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : "; ") + words; };
  for (const auto& [name, value] : wanted) {
    const std::string there = value_of(name);
    if (!SameValue(name, value, there)) add("'" + name + "' is '" + there + "' instead of '" + value + "'");
  }
  for (const auto& [name, value] : seen) {
    if (wanted.count(name) == 0) add("'" + name + "' is '" + value + "' although nobody asked for it");
  }
  return text;
}

}  // namespace phoenix::samba

#include "services/nfs/host/exports_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

constexpr char kHeader[] =
    "# This file belongs to Phoenix, which writes it anew with every change. Lines added here are refused by "
    "its next\n"
    "# plan: exports of your own go to /etc/exports or to another file of this directory.\n";

// exportfs reads a client and its options into a buffer of this size.
constexpr size_t kLongestClient = 511;

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsSpace(char c) { return IsBlank(c) || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }
bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// Characters of an exports(5) file, continued lines joined.
class Characters {
 public:
  explicit Characters(std::string_view text) : text_(text) {}
  bool AtEnd() const { return at_ >= text_.size(); }
  int line() const { return line_; }

  // A continuation reads as one blank, with the blanks that begin the next line.
  char Peek() {
    Join();
    return joined_ ? ' ' : text_[at_];
  }
  char Next() {
    const char c = Peek();
    if (joined_) {
      joined_ = false;
      return c;
    }
    if (c == '\n') ++line_;
    ++at_;
    return c;
  }
  void SkipComment() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

 private:
  void Join() {
    if (joined_ || text_.substr(at_, 2) != "\\\n") return;
    at_ += 2;
    ++line_;
    while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
    joined_ = true;
  }
  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  bool joined_ = false;
};

// Skips blanks (and line ends, where `lines` says so) and comments; false at the end of the text or of the
// line.
bool SkipToWord(Characters& in, bool lines) {
  while (!in.AtEnd()) {
    const char c = in.Peek();
    if (c == '#') {
      in.SkipComment();
    } else if (c == '\n' ? lines : IsBlank(c)) {
      in.Next();
    } else {
      return c != '\n';
    }
  }
  return false;
}

std::string ReadWord(Characters& in) {
  std::string word;
  bool quoted = false;
  while (!in.AtEnd()) {
    const char c = in.Peek();
    if (!quoted && IsSpace(c)) break;
    in.Next();
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    word += c;
    const size_t size = word.size();
    if (size < 4 || word[size - 4] != '\\') continue;
    if (!IsOctal(word[size - 3]) || !IsOctal(word[size - 2]) || !IsOctal(word[size - 1])) continue;
    const int code = (word[size - 3] - '0') * 64 + (word[size - 2] - '0') * 8 + (word[size - 1] - '0');
    if (code > 255) continue;
    word.resize(size - 4);
    word += static_cast<char>(code);
  }
  return word;
}

// Options of exports(5) that Phoenix has no use for yet. In a line of others they are no mistake.
bool IsTakenByExportfs(std::string_view option) {
  const std::string_view name = option.substr(0, option.find('='));
  return name == "security_label" || name == "xprtsec" || name == "reexport";
}

// The first bad option of a list, in exportfs's words.
std::optional<std::string> FirstBad(const std::vector<std::string>& options) {
  for (const auto& option : options) {
    if (IsTakenByExportfs(option)) continue;
    if (auto problem = ProblemOf(option)) return problem;
  }
  return std::nullopt;
}

struct ClientWord {
  std::string client;
  std::optional<std::string> options;
  bool bad = false;
};

ClientWord SplitClient(const std::string& word) {
  ClientWord split;
  const auto open = word.find('(');
  split.client = word.substr(0, open);
  if (open == std::string::npos) return split;
  const auto close = word.find(')', open);
  split.bad = close == std::string::npos || close + 1 != word.size();
  if (!split.bad) split.options = word.substr(open + 1, close - open - 1);
  // "(rw)" alone is everyone.
  if (open == 0) split.client = "*";
  return split;
}

void AppendOctal(std::string& text, char c) {
  text += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
}

bool NeedsOctal(char c) {
  const auto code = static_cast<unsigned char>(c);
  return code <= 0x20 || code == 0x7f || c == '"' || c == '\\' || c == '#';
}

}  // namespace

ParsedExports ParseExportsFile(std::string_view text) {
  ParsedExports parsed;
  Characters in(text);
  bool dropping = false;
  const auto complain = [&](int line, std::string problem) {
    if (!dropping) parsed.problems.push_back({line, std::move(problem)});
    dropping = true;
  };
  while (SkipToWord(in, /*lines=*/true)) {
    const int line = in.line();
    const std::string path = ReadWord(in);
    std::vector<std::string> defaults;
    bool any = false;
    while (true) {
      std::string word;
      if (SkipToWord(in, /*lines=*/false)) {
        word = ReadWord(in);
        if (word.starts_with('-')) {
          const auto more = SplitOptions(std::string_view(word).substr(1));
          if (const auto bad = FirstBad(more)) complain(line, *bad);
          defaults.insert(defaults.end(), more.begin(), more.end());
          continue;
        }
      } else if (any) {
        break;
      }
      // A path without any client is exported to everyone; the table says so with an empty name.
      any = true;
      ForeignExport entry{"", line, path, "", defaults, false};
      if (word.size() > kLongestClient) complain(line, "client and options are longer than exportfs reads");
      const ClientWord split = SplitClient(word);
      if (split.bad) complain(line, "bad option list");
      entry.client = split.client;
      if (split.options) {
        const auto options = SplitOptions(*split.options);
        if (const auto bad = FirstBad(options)) complain(line, *bad);
        entry.options.insert(entry.options.end(), options.begin(), options.end());
      }
      entry.dropped = dropping;
      parsed.entries.push_back(std::move(entry));
      if (word.empty()) break;
    }
  }
  return parsed;
}

std::vector<LiveExport> ParseExportTable(std::string_view text) {
  std::vector<LiveExport> live;
  Characters in(text);
  while (SkipToWord(in, /*lines=*/true)) {
    const std::string path = ReadWord(in);
    while (SkipToWord(in, /*lines=*/false)) {
      const ClientWord split = SplitClient(ReadWord(in));
      live.push_back({path, split.client, SplitOptions(split.options.value_or(""))});
    }
  }
  return live;
}

std::string QuotePath(std::string_view path) {
  std::string quoted = "\"";
  for (const char c : path) {
    if (NeedsOctal(c)) {
      AppendOctal(quoted, c);
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  return quoted;
}

std::string RenderLine(const ExportEntry& entry) {
  std::string line = QuotePath(entry.path);
  for (const ClientEntry& client : entry.clients) {
    line += fmt::format(" {}({})", client.client, JoinOptions(client.options));
  }
  return line;
}

std::string RenderOwnFile(const OwnExports& exports) {
  std::string text = kHeader;
  for (const auto& [path, entry] : exports) text += RenderLine(entry) + '\n';
  return text;
}

OwnExports ParseOwnFile(std::string_view text, std::string* problem) {
  const ParsedExports parsed = ParseExportsFile(text);
  OwnExports exports;
  for (const ForeignExport& one : parsed.entries) {
    ExportEntry& entry = exports[one.path];
    entry.path = one.path;
    entry.clients.push_back({one.client, one.options});
  }
  for (auto& [path, entry] : exports) {
    std::sort(entry.clients.begin(), entry.clients.end(),
              [](const ClientEntry& a, const ClientEntry& b) { return a.client < b.client; });
  }
  problem->clear();
  if (!parsed.problems.empty()) {
    *problem = fmt::format("line {}: {}", parsed.problems[0].line, parsed.problems[0].text);
  } else if (RenderOwnFile(exports) != text) {
    const std::string ours = RenderOwnFile(exports);
    const auto end = std::min(ours.size(), text.size());
    size_t same = 0;
    while (same < end && ours[same] == text[same]) ++same;
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(same), '\n') + 1;
    *problem = fmt::format("line {} was changed by others", line);
  }
  return exports;
}

bool ReadsBackAs(std::string_view text, const OwnExports& exports, std::string* difference) {
  const OwnExports read = ParseOwnFile(text, difference);
  if (!difference->empty()) return false;
  for (const auto& [path, entry] : exports) {
    const auto found = read.find(path);
    if (found == read.end() || !(found->second == entry)) {
      *difference = fmt::format("{} does not read back as written", path);
      return false;
    }
  }
  if (read.size() != exports.size()) *difference = "more exports read back than were written";
  return difference->empty();
}

}  // namespace phoenix::nfs

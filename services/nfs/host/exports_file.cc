#include "services/nfs/host/exports_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

constexpr char kHeader[] =
    "# This file belongs to Phoenix, which writes it anew with every change. Lines added here are refused by "
    "its next\n"
    "# plan: exports of your own go to /etc/exports or to another file of this directory.\n";

// exportfs reads a client and its options, and a path, into buffers of these sizes.
constexpr size_t kLongestClient = 511;
constexpr size_t kLongestPath = 1024;

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

// Takes what ends the word along, but for the end of the line. So a separator that SkipToWord() does not skip
// (a carriage return) gives an empty word, and "" does.
std::string ReadWord(Characters& in) {
  std::string word;
  bool quoted = false;
  while (!in.AtEnd()) {
    const char c = in.Peek();
    const bool ends = !quoted && IsSpace(c);
    if (ends && c == '\n') break;
    in.Next();
    if (ends) break;
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

bool HasNewerOption(const std::vector<std::string>& options) {
  return std::any_of(options.begin(), options.end(), IsNewerOption);
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

ParsedExports ParseExportsFile(std::string_view text, bool knows_newer) {
  ParsedExports parsed;
  Characters in(text);
  bool dropping = false;
  const auto complain = [&](int line, std::string problem) {
    if (!dropping) parsed.problems.push_back({line, std::move(problem)});
    dropping = true;
  };
  // Empty at the end of the line.
  const auto next_client = [&](int line) {
    std::string word = SkipToWord(in, /*lines=*/false) ? ReadWord(in) : std::string();
    if (word.size() > kLongestClient) complain(line, "client and options are longer than exportfs reads");
    return word;
  };
  const auto add_options = [&](int line, std::string_view list, std::vector<std::string>& to) {
    const auto options = SplitOptions(list);
    parsed.newer_options = parsed.newer_options || (!dropping && HasNewerOption(options));
    if (const auto bad = RejectedByExportfs(list, knows_newer)) complain(line, *bad);
    to.insert(to.end(), options.begin(), options.end());
  };
  while (SkipToWord(in, /*lines=*/true)) {
    const int line = in.line();
    const std::string path = ReadWord(in);
    if (path.empty()) {
      // It takes this for the end of the file. Lines of DOS are fine, but for empty ones.
      complain(line, "a carriage return or \"\" stands where a path is due");
      continue;
    }
    if (path.size() > kLongestPath) complain(line, "the path is longer than exportfs reads");
    std::vector<std::string> defaults;
    // A path without any client is exported to everyone; the table says so with an empty name.
    for (bool first = true;; first = false) {
      std::string word = next_client(line);
      if (word.empty() && !first) break;
      if (word.starts_with('-')) {
        add_options(line, std::string_view(word).substr(1), defaults);
        // Whatever it is: at the end of the line that is everyone again.
        word = next_client(line);
      }
      ForeignExport entry{"", line, path, "", defaults, false};
      const ClientWord split = SplitClient(word);
      if (split.bad) complain(line, "bad option list");
      entry.client = split.client;
      if (split.options) add_options(line, *split.options, entry.options);
      entry.dropped = dropping;
      parsed.entries.push_back(std::move(entry));
    }
  }
  return parsed;
}

std::vector<LiveExport> ParseExportTable(std::string_view text) {
  std::vector<LiveExport> live;
  Characters in(text);
  while (SkipToWord(in, /*lines=*/true)) {
    const std::string path = ReadWord(in);
    // mountd reads no further either.
    if (path.empty()) break;
    while (SkipToWord(in, /*lines=*/false)) {
      const std::string word = ReadWord(in);
      if (word.empty()) break;
      const ClientWord split = SplitClient(word);
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

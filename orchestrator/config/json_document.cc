#include "orchestrator/config/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

namespace phoenix::config {
namespace {

using nlohmann::json;

// Deeper than any real file; keeps a hostile one from exhausting memory with brackets alone.
constexpr std::size_t kMaxDepth = 64;

// Feeds the parser and counts what it took. The parser looks at most one character ahead, and only behind
// numbers; the character it looks at is on the number's own line, so `*taken - 1` always lies on the line of
// the current token.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(std::string_view::const_iterator at, std::size_t* taken) : at_(at), taken_(taken) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*taken_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  std::string_view::const_iterator at_;
  std::size_t* taken_;
};

class LineTable {
 public:
  explicit LineTable(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') newlines_.push_back(i);
    }
  }
  int LineOf(std::size_t offset) const {
    return static_cast<int>(std::lower_bound(newlines_.begin(), newlines_.end(), offset) -
                            newlines_.begin()) +
           1;
  }
  int ColumnOf(std::size_t offset) const {
    const int line = LineOf(offset);
    const std::size_t start = line == 1 ? 0 : newlines_[static_cast<std::size_t>(line) - 2] + 1;
    return static_cast<int>(offset - start) + 1;
  }

 private:
  std::vector<std::size_t> newlines_;
};

// The parser's message without its prefix and without the text it read last, which may be part of a password.
std::string SyntaxMessage(std::string_view what) {
  constexpr std::string_view kStart = "syntax error ";
  const std::size_t start = what.find(kStart);
  if (start == std::string_view::npos) return "number out of range";
  std::string_view message = what.substr(start + kStart.size());
  message = message.substr(0, message.find("; last read: "));
  if (message.substr(0, 2) == "- ") message.remove_prefix(2);
  return std::string(message);
}

// A key that came again, with the value it had before.
struct Repeat {
  std::string path;
  int line;
  json::json_pointer pointer;
  json before;
};

class Builder final : public json::json_sax_t {
 public:
  Builder(const LineTable& table, const std::size_t& taken) : table_(table), taken_(taken) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(json::object()); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(json::array()); }
  bool end_array() override { return Close(); }

  bool key(string_t& key) override {
    Frame& frame = frames_.back();
    frame.key = key;
    if (!frame.keys.insert(key).second) {
      json::json_pointer pointer = frame.pointer;
      pointer.push_back(key);
      repeats.push_back({MemberPath(frame.path, key), Line(), std::move(pointer), (*frame.node)[key]});
    }
    lines[MemberPath(frame.path, key)] = Line();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    failed_at = position > 0 ? position - 1 : 0;
    message = SyntaxMessage(error.what());
    return false;
  }

  json root;
  std::unordered_map<std::string, int> lines;
  std::vector<Repeat> repeats;
  std::size_t failed_at = 0;
  std::string message;

 private:
  struct Frame {
    json* node;
    std::string path;
    json::json_pointer pointer;
    std::string key;
    std::set<std::string> keys;
  };

  int Line() const { return table_.LineOf(taken_ > 0 ? taken_ - 1 : 0); }

  // Where the next value goes: its node, path and pointer.
  Frame Place() {
    if (frames_.empty()) {
      lines["$"] = Line();
      return {&root, "$", json::json_pointer(), {}, {}};
    }
    Frame& parent = frames_.back();
    json::json_pointer pointer = parent.pointer;
    if (parent.node->is_array()) {
      const std::size_t index = parent.node->size();
      std::string path = ElementPath(parent.path, index);
      lines[path] = Line();
      pointer.push_back(std::to_string(index));
      return {&parent.node->emplace_back(), std::move(path), std::move(pointer), {}, {}};
    }
    pointer.push_back(parent.key);
    return {&(*parent.node)[parent.key], MemberPath(parent.path, parent.key), std::move(pointer), {}, {}};
  }

  bool Put(json value) {
    *Place().node = std::move(value);
    return true;
  }

  bool Open(json empty) {
    if (frames_.size() >= kMaxDepth) {
      failed_at = taken_ > 0 ? taken_ - 1 : 0;
      message = fmt::format("nested deeper than {} levels", kMaxDepth);
      return false;
    }
    Frame frame = Place();
    *frame.node = std::move(empty);
    frames_.push_back(std::move(frame));
    return true;
  }

  bool Close() {
    frames_.pop_back();
    return true;
  }

  const LineTable& table_;
  const std::size_t& taken_;
  std::vector<Frame> frames_;
};

bool IsPlainKey(std::string_view key) {
  if (key.empty() || (key[0] >= '0' && key[0] <= '9')) return false;
  return std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
  });
}

}  // namespace

std::string MemberPath(std::string_view path, std::string_view key) {
  if (IsPlainKey(key)) return fmt::format("{}.{}", path, key);
  return fmt::format("{}[{}]", path, json(std::string(key)).dump());
}

std::string ElementPath(std::string_view path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

std::optional<JsonDocument> JsonDocument::Parse(std::string_view text, Findings& findings) {
  const LineTable table(text);
  std::size_t taken = 0;
  Builder builder(table, taken);
  const CountingIterator begin(text.begin(), &taken);
  const CountingIterator end(text.end(), &taken);
  if (!json::sax_parse(begin, end, &builder)) {
    const std::size_t at = std::min(builder.failed_at, text.size());
    Origin where{"$", table.LineOf(at)};
    findings.Error("json-syntax", std::move(where),
                   fmt::format("not valid JSON at line {}, column {}: {}", table.LineOf(at),
                               table.ColumnOf(at), builder.message));
    return std::nullopt;
  }
  for (const Repeat& repeat : builder.repeats) {
    const bool same =
        builder.root.contains(repeat.pointer) && builder.root.at(repeat.pointer) == repeat.before;
    findings.Lint("duplicate-key", {repeat.path, repeat.line, {}},
                  same ? "this key was given before with the same value; keep one"
                       : "this key was given before with another value; the last one is used");
  }
  JsonDocument document;
  document.root_ = std::move(builder.root);
  document.lines_ = std::move(builder.lines);
  return document;
}

void JsonDocument::Merge(const nlohmann::json& patch, const std::string& name) {
  ForgetPlaces(patch, &root_, "$", name);
  root_.merge_patch(patch);
}

void JsonDocument::ForgetPlaces(const nlohmann::json& patch, const nlohmann::json* target,
                                const std::string& path, const std::string& name) {
  // Merged member by member only into an object: anything else it replaces.
  if (patch.is_object() && target != nullptr && target->is_object()) {
    for (const auto& [key, value] : patch.items()) {
      const auto member = target->find(key);
      ForgetPlaces(value, member == target->end() ? nullptr : &*member, MemberPath(path, key), name);
    }
    return;
  }
  // The lines of what is below belong to the value that is gone.
  std::erase_if(lines_, [&](const auto& line) {
    const std::string_view at = line.first;
    return at.starts_with(path) &&
           (at.size() == path.size() || at[path.size()] == '.' || at[path.size()] == '[');
  });
  overridden_[path] = name;
}

Origin JsonDocument::At(std::string path) const {
  for (std::string_view at = path; !at.empty();) {
    if (const auto by = overridden_.find(std::string(at)); by != overridden_.end())
      return {std::move(path), 0, by->second};
    const auto found = lines_.find(std::string(at));
    if (found != lines_.end()) return {std::move(path), found->second, {}};
    // Up to the next enclosing place; a key that holds dots itself takes some more turns.
    const std::size_t end = at.find_last_of(".[");
    at = at.substr(0, end == std::string_view::npos ? 0 : end);
  }
  return {std::move(path), 0, {}};
}

}  // namespace phoenix::config

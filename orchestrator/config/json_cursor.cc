#include "orchestrator/config/json_cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace phoenix::config {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

bool IsSecretKey(std::string_view key) {
  const std::string name = ToLower(key);
  for (const std::string_view pointer : {"_file", "_path", "_hash", "file", "hash", "_name", "_id"}) {
    if (EndsWith(name, pointer)) return false;
  }
  for (const std::string_view word : {"password", "passwd", "passphrase", "secret", "token", "api_key"}) {
    if (name.find(word) != std::string::npos) return true;
  }
  return false;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> SplitTrimmed(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    const std::string_view piece = Trimmed(text.substr(0, end));
    if (!piece.empty()) pieces.push_back(piece);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return pieces;
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string shown = "\"";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  // A cut in the middle of a UTF-8 sequence would make the whole message unprintable.
  while (text.size() > kLongest && (static_cast<unsigned char>(shown.back()) & 0x80U) != 0) shown.pop_back();
  return shown + (text.size() > kLongest ? "…\"" : "\"");
}

std::string OneOf(const std::vector<std::string>& choices) {
  std::string text;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += i + 1 == choices.size() ? " or " : ", ";
    text += choices[i];
  }
  return text;
}

Cursor::Cursor(const JsonDocument* document, const nlohmann::json* json, std::string path, std::string key,
               Findings* findings)
    : document_(document), json_(json), path_(std::move(path)), key_(std::move(key)), findings_(findings) {
  if (json_ != nullptr && json_->is_null()) json_ = nullptr;
}

Cursor Cursor::Root(const JsonDocument& document, Findings& findings) {
  return {&document, &document.root(), "$", "", &findings};
}

Origin Cursor::origin() const { return document_->At(path_); }

std::string Cursor::Shown() const {
  if (!present()) return "nothing";
  if (json_->is_object()) return "an object";
  if (json_->is_array()) return fmt::format("a list of {}", json_->size());
  if (IsSecretKey(key_)) return "a value that is not shown";
  if (json_->is_string()) return Quoted(json_->get_ref<const std::string&>());
  return json_->dump();
}

Cursor Cursor::Key(std::string_view key) const {
  const nlohmann::json* member = nullptr;
  if (is_object()) {
    const auto found = json_->find(std::string(key));
    if (found != json_->end()) member = &*found;
  }
  return {document_, member, MemberPath(path_, key), std::string(key), findings_};
}

std::vector<std::pair<std::string, Cursor>> Cursor::Members() const {
  std::vector<std::pair<std::string, Cursor>> members;
  if (!present()) return members;
  if (!json_->is_object()) {
    WrongType("an object");
    return members;
  }
  for (const auto& [key, value] : json_->items()) {
    members.emplace_back(key, Cursor(document_, &value, MemberPath(path_, key), key, findings_));
  }
  return members;
}

std::vector<Cursor> Cursor::Elements() const {
  std::vector<Cursor> elements;
  if (!present()) return elements;
  if (!json_->is_array()) {
    WrongType("a list");
    return elements;
  }
  for (std::size_t i = 0; i < json_->size(); ++i) {
    elements.push_back(Cursor(document_, &(*json_)[i], ElementPath(path_, i), key_, findings_));
  }
  return elements;
}

bool Cursor::RequireObject() const {
  if (is_object()) return true;
  WrongType("an object");
  return false;
}

void Cursor::ExpectKeys(std::initializer_list<std::string_view> known) const {
  if (!is_object()) return;
  for (const auto& [key, value] : json_->items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::vector<std::string> names(known.begin(), known.end());
    findings_->Lint("unknown-key", document_->At(MemberPath(path_, key)),
                    "this key is not known and has no effect", {}, OneOf(names));
  }
}

std::optional<std::string> Cursor::String() const {
  if (!present()) return std::nullopt;
  if (json_->is_string()) return json_->get<std::string>();
  WrongType("a string");
  return std::nullopt;
}

std::optional<bool> Cursor::Bool() const {
  if (!present()) return std::nullopt;
  if (json_->is_boolean()) return json_->get<bool>();
  if (json_->is_string()) {
    const std::string word = ToLower(json_->get_ref<const std::string&>());
    if (word == "true" || word == "yes") return true;
    if (word == "false" || word == "no") return false;
  }
  WrongType("true or false");
  return std::nullopt;
}

std::optional<std::uint64_t> Cursor::Unsigned() const {
  if (!present()) return std::nullopt;
  if (json_->is_number_unsigned()) return json_->get<std::uint64_t>();
  if (json_->is_string()) {
    const auto& text = json_->get_ref<const std::string&>();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  WrongType("a whole number");
  return std::nullopt;
}

std::optional<std::string> Cursor::SizeText() const {
  if (present() && json_->is_number_unsigned()) return json_->dump();
  return String();
}

std::vector<Text> Cursor::StringList(std::string_view separators) const {
  std::vector<Text> items;
  if (!present()) return items;
  if (json_->is_string()) {
    for (const std::string_view item : SplitTrimmed(json_->get_ref<const std::string&>(), separators)) {
      items.push_back({std::string(item), origin()});
    }
    return items;
  }
  if (!json_->is_array()) {
    WrongType("a list of strings, or one string");
    return items;
  }
  for (const Cursor& element : Elements()) {
    if (!element.is_string()) {
      element.WrongType("a string");
      continue;
    }
    const std::string_view item = Trimmed(element.json().get_ref<const std::string&>());
    if (!item.empty()) items.push_back({std::string(item), element.origin()});
  }
  return items;
}

void Cursor::Error(std::string rule, std::string message, std::string allowed) const {
  findings_->Error(std::move(rule), origin(), std::move(message), Shown(), std::move(allowed));
}

void Cursor::Lint(std::string rule, std::string message) const {
  findings_->Lint(std::move(rule), origin(), std::move(message), Shown());
}

void Cursor::WrongType(std::string_view allowed) const {
  findings_->Error(present() ? "wrong-type" : "missing", origin(),
                   present() ? "this has the wrong type" : "this is missing", Shown(), std::string(allowed));
}

}  // namespace phoenix::config

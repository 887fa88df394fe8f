// Reading a hand-written JSON file without losing a mistake: every wrong type becomes an error with its
// place, and reading goes on.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/config/finding.h"
#include "orchestrator/config/json_document.h"

namespace phoenix::config {

// True for keys that hold a secret's value ("password", "smb_passwd", "admin_token"), false for those that
// only point to one ("token_file", "password_hash").
bool IsSecretKey(std::string_view key);

// A string of the file and where it stood.
struct Text {
  std::string value;
  Origin origin;
};

// One place in a document, present or not. JSON null counts as absent, as it does for the tools that read
// these files today. The document and the findings must outlive the cursor. Cheap to copy.
class Cursor {
 public:
  static Cursor Root(const JsonDocument& document, Findings& findings);

  bool present() const { return json_ != nullptr; }
  bool is_object() const { return present() && json_->is_object(); }
  bool is_array() const { return present() && json_->is_array(); }
  bool is_string() const { return present() && json_->is_string(); }
  const nlohmann::json& json() const { return *json_; }
  Origin origin() const;
  // What stands here, for a message: short, quoted, and never the value of a secret.
  std::string Shown() const;

  // The member `key`; absent if this is absent or no object.
  Cursor Key(std::string_view key) const;
  // The members as (key, cursor), or an error if this is present and no object.
  std::vector<std::pair<std::string, Cursor>> Members() const;
  // The elements, or an error if this is present and no list.
  std::vector<Cursor> Elements() const;

  // An error, and false, unless this is an object. Absent is an error too.
  bool RequireObject() const;
  // A lint for each member that is not among `known`. Values are not shown.
  void ExpectKeys(std::initializer_list<std::string_view> known) const;

  // Each: nothing if absent; an error and nothing if of another type.
  std::optional<std::string> String() const;
  // Also "true", "false", "yes" and "no", which shell scripts took for booleans.
  std::optional<bool> Bool() const;
  // A whole number from 0, also as a decimal string.
  std::optional<std::uint64_t> Unsigned() const;
  // A size, as a string or as a number of bytes.
  std::optional<std::string> SizeText() const;
  // A list of strings, or one string that is split at `separators`. Blanks around items are dropped, empty
  // items too.
  std::vector<Text> StringList(std::string_view separators) const;

  void Error(std::string rule, std::string message, std::string allowed = {}) const;
  void Lint(std::string rule, std::string message) const;
  Findings& findings() const { return *findings_; }

 private:
  Cursor(const JsonDocument* document, const nlohmann::json* json, std::string path, std::string key,
         Findings* findings);
  void WrongType(std::string_view allowed) const;

  const JsonDocument* document_;
  const nlohmann::json* json_;
  std::string path_;
  std::string key_;  // the member this is, or the member whose list it stands in
  Findings* findings_;
};

// `text` without blanks at both ends.
std::string_view Trimmed(std::string_view text);
// The non-empty trimmed pieces of `text` between any of `separators`.
std::vector<std::string_view> SplitTrimmed(std::string_view text, std::string_view separators);
std::string ToLower(std::string_view text);
// `text` in double quotes with control characters made visible, cut at 80 characters.
std::string Quoted(std::string_view text);
// "a, b or c".
std::string OneOf(const std::vector<std::string>& choices);

}  // namespace phoenix::config

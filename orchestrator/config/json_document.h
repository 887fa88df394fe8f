// JSON text with the line of every element and the keys that were given twice: what the plain parser forgets.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "orchestrator/config/finding.h"

namespace phoenix::config {

// The JSONPath of member `key` below `path`.
std::string MemberPath(std::string_view path, std::string_view key);
// The JSONPath of element `index` below `path`.
std::string ElementPath(std::string_view path, std::size_t index);

// A parsed file. Of a key given twice the last value wins, as every JSON tool in use does it.
class JsonDocument {
 public:
  // Parses `text`. A syntax error becomes one error in `findings`, with line and column and without any text
  // of the file (the broken place may be a password); then nothing is returned. A key given twice is a lint.
  static std::optional<JsonDocument> Parse(std::string_view text, Findings& findings);

  // Merges `patch` into the document as RFC 7386 says: objects member by member, null takes a member away,
  // everything else is replaced whole. `name` says whose patch it is, for the places of what it put there.
  void Merge(const nlohmann::json& patch, const std::string& name);

  const nlohmann::json& root() const { return root_; }
  // The place of the element at `path`; the line is that of its key, or of the element itself inside a list.
  // For what is missing it is the line of the element it is missing from.
  Origin At(std::string path) const;

 private:
  nlohmann::json root_;
  // `target`: what it is merged into; null for nothing.
  void ForgetPlaces(const nlohmann::json& patch, const nlohmann::json* target, const std::string& path,
                    const std::string& name);

  std::unordered_map<std::string, int> lines_;
  // What a patch replaced, by whom.
  std::unordered_map<std::string, std::string> overridden_;
};

}  // namespace phoenix::config

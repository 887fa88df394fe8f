// What is wrong or doubtful in a file a person wrote, said so that the person can mend it without asking
// anyone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phoenix::config {

// A place in a JSON file. `path` is a JSONPath from the root ("$.zfs.pools[0].raid_level"); a key that is no
// plain identifier is written in brackets. `line` counts from 1; 0 means the place has no line of its own.
// `overridden_by`: what put the value there instead of the file ("overrides of node pve2"), or empty.
struct Origin {
  std::string path;
  int line = 0;
  std::string overridden_by;

  // "$.zfs.pools[0].raid_level (line 12)", "$.zfs.pools[0].raid_level (overrides of node pve2)".
  std::string ToString() const;
  friend bool operator==(const Origin&, const Origin&) = default;
};

// One error or lint. `rule` is stable and meant for programs and tests ("unknown-raid-level"); the other
// texts are for people. `found` and `allowed` may be empty. No text ever holds the value of a password.
struct Finding {
  std::string rule;
  Origin where;
  std::string message;
  std::string found;
  std::string allowed;

  // "<message>; found <found>; allowed: <allowed>": for those who show the place themselves.
  std::string Text() const;
  // "<where>: <Text()>".
  std::string ToString() const;
};

// Everything that was found in one file. Errors make the file unusable, lints do not. Not thread-safe.
struct Findings {
  std::vector<Finding> errors;
  std::vector<Finding> lints;

  void Error(std::string rule, Origin where, std::string message, std::string found = {},
             std::string allowed = {});
  void Lint(std::string rule, Origin where, std::string message, std::string found = {},
            std::string allowed = {});
  // Brings both lists into the order of the file; findings of one line keep the order in which they were
  // made.
  void SortByPlace();
};

// Every finding on its own line, in order; no newline at the end.
std::string Render(const std::vector<Finding>& findings);

}  // namespace phoenix::config

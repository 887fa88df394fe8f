// Names and values of smb.conf(5) parameters: synonyms, inverted synonyms, and when two spellings mean the
// same.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::samba {

// By canonical name.
using Parameters = std::map<std::string, std::string>;

// A boolean as Samba reads it: yes/true/on/1, no/false/off/0, in any case.
std::optional<bool> ParseBool(std::string_view text);

// Without case and blanks, as Samba compares names.
std::string Squeezed(std::string_view name);

struct Parameter {
  std::string name;
  std::string value;
  friend bool operator==(const Parameter&, const Parameter&) = default;
};

// The parameter under its canonical name, which is the one that testparm prints: "browsable" becomes
// "browseable", "write ok=yes" becomes "read only=No". Booleans become Yes or No. Names that nobody knows
// only lose case and doubled blanks. nullopt when the value of an inverted synonym is no boolean.
std::optional<Parameter> Canonical(std::string_view name, std::string_view value);

// True when Samba reads both spellings as one value: booleans, octal masks, lists with other separators, case
// of words, and words that stand for one thing ("mandatory" and "required", "SMB2" and "SMB2_10").
bool MeansTheSame(std::string_view a, std::string_view b);
// The same of values of one parameter. A path, a comment and the parameters of modules ("shadow:format") are
// taken as they stand.
bool SameValue(std::string_view name, std::string_view a, std::string_view b);

// The words of a list, parted by blanks, commas or semicolons.
std::vector<std::string> Words(std::string_view list);

// Why the parameter may not be written by us, or "": it would run programs, read other files, move the share,
// or break out of its line.
std::string WhyRefused(std::string_view name, std::string_view value);

// True for the global parameters that a spec may set.
bool IsSettableGlobal(std::string_view name);

// UTF-8 without control characters.
bool IsOneLine(std::string_view text);

}  // namespace phoenix::samba

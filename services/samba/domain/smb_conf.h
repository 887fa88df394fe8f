// The texts that Samba reads: our own file, which is rendered whole from a model, and smb.conf, in which one
// line is ours. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/samba/domain/parameters.h"
#include "services/samba/domain/samba_spec.h"

namespace phoenix::samba {

// One share as it stands in a file.
struct Section {
  std::string name;
  Parameters parameters;
  friend bool operator==(const Section&, const Section&) = default;
};

// Our file. Shares by ShareKey(), since Samba's names have no case.
struct OwnFile {
  Parameters globals;
  std::map<std::string, Section> shares;
  friend bool operator==(const OwnFile&, const OwnFile&) = default;

  const Section* Find(std::string_view name) const;
  void Put(Section section);
  void Remove(std::string_view name);
  bool empty() const { return globals.empty() && shares.empty(); }
};

// The key of a share's name: lower case.
std::string ShareKey(std::string_view name);

// The same model gives the same bytes.
std::string Render(const OwnFile& file);

// What Render() wrote, and what a hand made of it as long as each line is a comment, a section or a
// parameter. What is read from another text than Render() would write cannot be written back without losing
// something: Render(*ParseOwnFile(text)) != text tells.
absl::StatusOr<OwnFile> ParseOwnFile(std::string_view text);

// The parameters of a wanted share; every field is rendered, defaults too, so that no default of smb.conf
// changes it.
Section SectionOf(const ShareSpec& share);

// True when a line of smb.conf includes `path`.
bool Includes(std::string_view smb_conf, std::string_view path);
// smb.conf with one line more, "include = PATH", as the last one of [global]. An include continues in
// whatever section the included text ends, so that a line at the end of a share's section could change what
// follows; our file ends in [global] for the same reason.
std::string AddInclude(std::string_view smb_conf, std::string_view path);
// Takes that line away. RemoveInclude(AddInclude(text)) == text, byte for byte.
std::string RemoveInclude(std::string_view smb_conf, std::string_view path);

// The text with the include of `path` pointing to another file; with an include of that where there is none
// yet.
std::string RedirectInclude(std::string_view smb_conf, std::string_view path, std::string_view other);

// "" when the two are the same share for Samba, else what differs. `defaults` are values that a dump leaves
// out.
std::string Difference(const Parameters& wanted, const Parameters& seen, const Parameters& defaults);

}  // namespace phoenix::samba

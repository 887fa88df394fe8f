// The option string of a Samba share: "browseable=yes writable=yes create mask=0660".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/config/json_cursor.h"

namespace phoenix::config {

// One smb.conf(5) parameter. `name` is its main name in lower case: "writeable" and "write ok" come out as
// "writable", "create mode" as "create mask".
struct SambaOption {
  std::string name;
  std::string value;
  Origin origin;
};

// The parameters in `options`: a string of name=value parted by blanks, or an object. Names may hold blanks,
// and values too where the next word begins no known name; a comma or semicolon behind a value is dropped.
// Errors: an item without
// "=", a parameter that runs programs, reads other files or moves the share. A name not known as a share's
// parameter is a lint.
std::vector<SambaOption> ReadSambaOptions(const Cursor& options);

// Samba's words for true and false.
std::optional<bool> ParseSambaBool(std::string_view text);

}  // namespace phoenix::config

// What testparm does, for the simulated host: it reads a configuration with its includes as smbd would,
// prints what it understood, and says little about what it did not (facts-safety S1).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "services/samba/host/samba_host.h"

namespace phoenix::samba {

// Text of a file; nullopt where there is none.
using ReadText = std::function<std::optional<std::string>(const std::string& path)>;

CheckedConfig SimTestparm(const std::string& smb_conf, const ReadText& read);

}  // namespace phoenix::samba

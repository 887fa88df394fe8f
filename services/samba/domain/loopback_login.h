// Why a login from the node itself, by 127.0.0.1, may fail although the share is as it was wanted. Pure.
#pragma once

#include <string>
#include <string_view>

#include "services/samba/domain/samba_state.h"

namespace phoenix::samba {

// What of the configuration that smbd reads shuts 127.0.0.1 out of the share, in words: "hosts deny = ALL";
// "" where nothing does. smbd lets loopback in unless `hosts deny` names it and `hosts allow` does not.
std::string WhyLoopbackIsShutOut(const ConfigDump& live, const std::string& share);

// True where the share's `veto files` hide a file of this name from every client.
bool IsVetoed(const ConfigDump& live, const std::string& share, std::string_view name);

}  // namespace phoenix::samba

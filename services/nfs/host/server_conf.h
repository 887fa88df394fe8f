// nfs.conf(5), as far as exports depend on it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace phoenix::nfs {

// The last value of a name in a section, both without regard to case; nullopt where it is not set.
std::optional<std::string> ServerConfValue(std::string_view text, std::string_view section,
                                           std::string_view name);

}  // namespace phoenix::nfs

// In which order units are stopped. Pure.
#pragma once

#include <string>
#include <vector>

namespace phoenix::node {

// Sockets, paths and timers first, since they would start their services again; mounts last, since services
// use them.
std::vector<std::string> InStopOrder(std::vector<std::string> units);

}  // namespace phoenix::node

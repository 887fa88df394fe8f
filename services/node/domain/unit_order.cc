#include "services/node/domain/unit_order.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace phoenix::node {
namespace {

int Rank(std::string_view unit) {
  const size_t dot = unit.rfind('.');
  const std::string_view type = dot == std::string_view::npos ? "" : unit.substr(dot + 1);
  if (type == "socket" || type == "path" || type == "timer") return 0;
  if (type == "target") return 2;
  if (type == "mount" || type == "automount") return 3;
  return 1;
}

}  // namespace

std::vector<std::string> InStopOrder(std::vector<std::string> units) {
  std::sort(units.begin(), units.end(), [](const std::string& a, const std::string& b) {
    return std::make_pair(Rank(a), std::string_view(a)) < std::make_pair(Rank(b), std::string_view(b));
  });
  return units;
}

}  // namespace phoenix::node

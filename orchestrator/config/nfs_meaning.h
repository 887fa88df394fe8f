// What exportfs makes of the options of an export.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::config {

// A word that stands alone and switches something on or off.
struct ExportFlag {
  std::string_view subject;  // the word that switches the same thing on
  bool on = true;
  // May differ between the security flavours of one export.
  bool per_flavour = false;
};

// Every such word of exports(5) but `mountpoint`, which may have a value as well.
const std::map<std::string_view, ExportFlag>& ExportFlags();

// Equal for two lists of valid options exactly where exportfs exports the same way by both.
std::string MeaningOf(const std::vector<std::string>& options);

}  // namespace phoenix::config

#include "orchestrator/config/inherited.h"

#include <algorithm>
#include <map>

namespace phoenix::config {

const Property* PropertyOf(const Config& config, std::string_view full_name, const std::string& property) {
  for (std::string name(full_name);;) {
    const Dataset* dataset = config.FindDataset(name);
    const auto pool = std::find_if(config.pools.begin(), config.pools.end(),
                                   [&](const Pool& one) { return one.name == name; });
    const std::map<std::string, Property>* given = nullptr;
    if (dataset != nullptr && !dataset->absent) {
      given = &dataset->properties;
    } else if (pool != config.pools.end() && !pool->absent) {
      given = &pool->root_properties;
    }
    if (given != nullptr && given->contains(property)) return &given->at(property);
    const std::size_t slash = name.rfind('/');
    if (slash == std::string::npos) return nullptr;
    name.resize(slash);
  }
}

}  // namespace phoenix::config

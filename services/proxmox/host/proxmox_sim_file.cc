#include "services/proxmox/host/proxmox_sim_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed) {}

  std::string Section(const StorageEntry& entry, bool without_content) {
    std::string text = fmt::format("{}: {}\n", entry.type, entry.id);
    if (entry.disabled) text += "\tdisable\n";
    std::map<std::string, std::string> required;
    std::map<std::string, std::string> optional;
    const TypeRule* type = FindType(entry.type);
    for (const auto& [name, value] : entry.options) {
      const OptionRule* rule = type == nullptr ? nullptr : FindOption(*type, name);
      // An nfs or cifs entry's path is among the required ones of the genuine tools, which fill it in.
      const bool first = rule != nullptr && (rule->required || rule->name == "path");
      (first ? required : optional)[name] = value;
    }
    if (!without_content) optional["content"] = entry.content.empty() ? "none" : AnyOrder(entry.content);
    if (!entry.nodes.empty()) optional["nodes"] = AnyOrder(entry.nodes);
    for (const auto* part : {&required, &optional}) {
      for (const auto& [name, value] : *part) text += fmt::format("\t{} {}\n", name, value);
    }
    return text + "\n";
  }

  std::vector<std::string> Shuffled(std::vector<std::string> items) {
    std::shuffle(items.begin(), items.end(), random_);
    return items;
  }

 private:
  std::string AnyOrder(const Words& words) {
    std::string text;
    for (const std::string& word : Shuffled({words.begin(), words.end()})) {
      if (!text.empty()) text += ',';
      text += word;
    }
    return text;
  }

  std::mt19937_64 random_;
};

}  // namespace

std::string WriteStorageConfig(const StorageConfig& config, const std::set<std::string>& bare,
                               uint64_t seed) {
  Writer writer(seed);
  std::vector<std::string> newcomers;
  for (const auto& [id, entry] : config.entries) {
    if (std::find(config.order.begin(), config.order.end(), id) == config.order.end())
      newcomers.push_back(id);
  }
  std::string text;
  for (const std::string& id : config.order) {
    const auto found = config.entries.find(id);
    if (found != config.entries.end()) text += writer.Section(found->second, bare.count(id) != 0);
  }
  for (const std::string& id : writer.Shuffled(newcomers)) {
    text += writer.Section(config.entries.at(id), bare.count(id) != 0);
  }
  return text;
}

}  // namespace phoenix::proxmox

#include "orchestrator/config/nfs_meaning.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace phoenix::config {
namespace {

using Settings = std::map<std::string_view, bool>;

Settings Defaults(bool per_flavour) {
  if (per_flavour) return {{"ro", true}, {"insecure", false}, {"root_squash", true}, {"all_squash", false}};
  Settings settings;
  for (const auto& [word, flag] : ExportFlags()) {
    if (!flag.per_flavour) settings[flag.subject] = flag.subject == "wdelay";
  }
  return settings;
}

std::string ToText(const Settings& settings) {
  std::string text;
  for (const auto& [subject, on] : settings) {
    text += ' ';
    text += on ? "" : "!";
    text += subject;
  }
  return text;
}

std::string MainFlavour(std::string_view flavour) {
  return std::string(flavour == "unix" ? "sys" : flavour == "null" ? "none" : flavour);
}

}  // namespace

const std::map<std::string_view, ExportFlag>& ExportFlags() {
  static const std::map<std::string_view, ExportFlag> kFlags = {
      {"ro", {"ro", true, true}},
      {"rw", {"ro", false, true}},
      {"insecure", {"insecure", true, true}},
      {"secure", {"insecure", false, true}},
      {"root_squash", {"root_squash", true, true}},
      {"no_root_squash", {"root_squash", false, true}},
      {"all_squash", {"all_squash", true, true}},
      {"no_all_squash", {"all_squash", false, true}},
      {"async", {"async", true}},
      {"sync", {"async", false}},
      {"wdelay", {"wdelay", true}},
      {"no_wdelay", {"wdelay", false}},
      {"nohide", {"nohide", true}},
      {"hide", {"nohide", false}},
      {"crossmnt", {"crossmnt", true}},
      {"nocrossmnt", {"crossmnt", false}},
      {"subtree_check", {"subtree_check", true}},
      {"no_subtree_check", {"subtree_check", false}},
      // Two names of the same switch.
      {"insecure_locks", {"insecure_locks", true}},
      {"secure_locks", {"insecure_locks", false}},
      {"no_auth_nlm", {"insecure_locks", true}},
      {"auth_nlm", {"insecure_locks", false}},
      {"no_acl", {"no_acl", true}},
      {"acl", {"no_acl", false}},
      {"nordirplus", {"nordirplus", true}},
      {"pnfs", {"pnfs", true}},
      {"no_pnfs", {"pnfs", false}},
  };
  return kFlags;
}

std::string MeaningOf(const std::vector<std::string>& options) {
  Settings all = Defaults(false);
  Settings flags = Defaults(true);
  std::map<std::string, std::string> values = {{"anonuid", "65534"}, {"anongid", "65534"}};
  std::vector<std::pair<std::string, Settings>> flavours;  // in order of preference
  std::vector<std::size_t> active;                         // those that the last sec= named
  for (const std::string& option : options) {
    if (const auto flag = ExportFlags().find(option); flag != ExportFlags().end()) {
      Settings& settings = flag->second.per_flavour ? flags : all;
      settings[flag->second.subject] = flag->second.on;
      if (!flag->second.per_flavour) continue;
      // What follows sec= speaks of those flavours too.
      for (const std::size_t index : active) flavours[index].second[flag->second.subject] = flag->second.on;
      continue;
    }
    const std::size_t equals = option.find('=');
    const std::string name = option.substr(0, equals);
    std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
    if (name != "sec") {
      if (name == "fsid" && value == "root") value = "0";
      // 007 is 7.
      if (name == "anonuid" || name == "anongid") value = std::to_string(std::stoul(value));
      values[name == "mp" ? "mountpoint" : name] = value;
      continue;
    }
    active.clear();
    for (std::size_t start = 0; start <= value.size();) {
      const std::size_t end = std::min(value.find(':', start), value.size());
      const std::string flavour = MainFlavour(std::string_view(value).substr(start, end - start));
      start = end + 1;
      std::size_t index = 0;
      while (index < flavours.size() && flavours[index].first != flavour) ++index;
      if (index == flavours.size()) flavours.emplace_back(flavour, flags);
      active.push_back(index);
    }
  }
  if (flavours.empty()) flavours.emplace_back("sys", flags);
  std::string text = ToText(flags) + ";" + ToText(all);
  for (const auto& [name, value] : values) text += "; " + name + "=" + value;
  for (const auto& [flavour, settings] : flavours) text += "; sec=" + flavour + ToText(settings);
  return text;
}

}  // namespace phoenix::config

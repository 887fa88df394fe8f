#include "orchestrator/config/vm_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "orchestrator/config/json_document.h"
#include "orchestrator/config/names.h"
#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

constexpr const char* kBaseSetup = "base_setup";
constexpr const char* kVmidAllowed = "a number from 100 to 999999999, each once";
constexpr const char* kAddressAllowed =
    "the VM's own address, with or without a prefix (10.0.0.101/24); only this address may mount its "
    "features";

std::optional<std::string> FeatureNameProblem(std::string_view name) {
  const auto alnum = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (!name.empty() && name.size() <= 64 && alnum(name[0]) &&
      std::all_of(name.begin(), name.end(), [&](char c) { return alnum(c) || c == '_' || c == '-'; }))
    return std::nullopt;
  return "64 characters at most: letters, digits, _ and -, with a letter or digit first";
}

// What a VM's scripts may read of its entry: nobody keeps a share secret from whoever may mount it.
void DropSecrets(nlohmann::json& value) {
  if (value.is_object()) {
    for (auto member = value.begin(); member != value.end();) {
      const bool secret = IsSecretKey(member.key()) || ToLower(member.key()).ends_with("hash");
      member = secret ? value.erase(member) : std::next(member);
    }
  }
  if (value.is_structured()) {
    for (auto& element : value) DropSecrets(element);
  }
}

class VmReader {
 public:
  explicit VmReader(VmResult& result) : result_(result) {}

  void Read(const Cursor& cursor) {
    if (!cursor.RequireObject()) return;
    Vm vm;
    vm.origin = cursor.origin();
    const bool known = ReadVmid(cursor.Key("vmid"), vm);
    const auto absent = ReadAbsent(cursor);
    vm.absent = absent.value_or(false);
    bool usable = ReadName(cursor.Key("name"), vm);
    usable = ReadNode(cursor.Key("node"), vm) && usable;
    ReadFeatures(cursor, vm);
    ReadVolumes(cursor.Key("volumes"), vm);
    usable = ReadAddress(cursor, vm) && usable;
    if (!known || !usable || !absent.has_value() || (vm.features.empty() && !vm.absent)) return;
    nlohmann::json context = cursor.json();
    DropSecrets(context);
    vm.context = context.dump(4) + "\n";
    result_.vms.push_back(std::move(vm));
  }

 private:
  bool ReadVmid(const Cursor& cursor, Vm& vm) {
    if (!cursor.present()) {
      cursor.Error("missing", "this VM has no vmid", kVmidAllowed);
      return false;
    }
    const auto number = cursor.Unsigned();
    if (!number.has_value()) return false;
    if (*number < 100 || *number > 999999999) {
      cursor.Error("invalid-vmid", "this is no id of a VM", kVmidAllowed);
      return false;
    }
    vm.vmid = static_cast<std::uint32_t>(*number);
    vm.name = fmt::format("vm-{}", vm.vmid);
    const auto [used, fresh] = ids_.emplace(vm.vmid, cursor.origin());
    if (fresh) return true;
    cursor.Error("duplicate-name", fmt::format("this VM is declared before, at {}", used->second.ToString()),
                 kVmidAllowed);
    return false;
  }

  static bool ReadName(const Cursor& cursor, Vm& vm) {
    const auto name = cursor.String();
    if (!name.has_value()) return !cursor.present();
    if (IsHostName(*name)) {
      vm.name = *name;
      return true;
    }
    cursor.Error("invalid-name", "this is no name of a VM",
                 "a host name: labels of letters, digits and -, parted by dots");
    return false;
  }

  static bool ReadNode(const Cursor& cursor, Vm& vm) {
    const auto node = cursor.String();
    if (!node.has_value()) return !cursor.present();
    vm.node = *node;
    const auto problem = HostLabelProblem(*node);
    if (problem.has_value()) cursor.Error("invalid-name", "this is no node name", *problem);
    return !problem.has_value();
  }

  static void ReadFeatures(const Cursor& cursor, Vm& vm) {
    const std::vector<Text> given = cursor.Key("features").StringList(", \t");
    if (given.empty()) return;
    const Cursor is_template = cursor.Key("is_template");
    if (is_template.Bool().value_or(false)) {
      is_template.Lint("template-features",
                       "a template never boots, so its features are not delivered; declare them for the VMs "
                       "that are cloned of it");
      return;
    }
    // Whatever a feature needs is there once this one ran.
    vm.features.push_back({kBaseSetup, given.front().origin});
    for (const Text& feature : given) {
      if (const auto problem = FeatureNameProblem(feature.value)) {
        cursor.findings().Error("invalid-name", feature.origin, "this is no name of a feature",
                                Quoted(feature.value), *problem);
        continue;
      }
      const auto same = [&](const Text& other) { return other.value == feature.value; };
      if (std::count_if(given.begin(), given.end(), same) > 1 &&
          &feature != &*std::find_if(given.begin(), given.end(), same)) {
        cursor.findings().Lint("feature-repeated", feature.origin,
                               "this feature is named twice; it runs once", Quoted(feature.value));
      }
      if (std::none_of(vm.features.begin(), vm.features.end(), same)) vm.features.push_back(feature);
    }
  }

  static void ReadVolumes(const Cursor& list, Vm& vm) {
    for (const Cursor& element : list.Elements()) {
      if (!element.RequireObject()) continue;
      const Cursor type = element.Key("type");
      if (type.String().value_or("") != "nfs") continue;
      VmVolume volume;
      volume.origin = element.origin();
      volume.server = element.Key("server").String().value_or("");
      const Cursor path = element.Key("path");
      if (!path.present()) path.Error("missing", "this volume has no path", "the exported path");
      const auto text = path.String();
      if (!text.has_value()) continue;
      const auto normal = NormalisedPath(*text);
      if (!normal.has_value() || *normal == "/") {
        path.Error("invalid-path", "this is no exported path", "an absolute path, without . and ..");
        continue;
      }
      volume.path = *normal;
      vm.volumes.push_back(std::move(volume));
    }
  }

  bool ReadAddress(const Cursor& cursor, Vm& vm) {
    Cursor place = cursor.Key("address");
    if (!place.present()) place = cursor.Key("ip");
    if (!place.present()) place = cursor.Key("network_config").Key("ip");
    if (vm.features.empty() || vm.absent) return true;
    std::string text(place.is_string() ? Trimmed(place.json().get_ref<const std::string&>()) : "");
    if (!place.present() || ToLower(text) == "dhcp") {
      place.Error("missing", "this VM gets features, and its address is not known", kAddressAllowed);
      return false;
    }
    if (!place.String().has_value()) return false;
    const auto whole = ParseNfsClient(text);
    const auto alone = ParseNfsClient(text.substr(0, text.find('/')));
    if (!whole.ok() || !alone.ok() || !IsAddressOrSubnet(alone->canonical)) {
      place.Error("invalid-address", "this is no address of a VM", kAddressAllowed);
      return false;
    }
    vm.address = alone->canonical;
    const auto [used, fresh] = addresses_.emplace(vm.address, place.origin());
    if (fresh) return true;
    place.Error("duplicate-address",
                fmt::format("another VM has this address, at {}; each would reach what is for the other",
                            used->second.ToString()),
                "every address once");
    return false;
  }

  VmResult& result_;
  std::map<std::uint32_t, Origin> ids_;
  std::map<std::string, Origin> addresses_;
};

}  // namespace

absl::Status VmResult::ToStatus() const {
  return ok() ? absl::OkStatus() : absl::InvalidArgumentError(Render(findings.errors));
}

std::vector<std::string> ScriptNamesOf(const std::string& feature) {
  return {fmt::format("feature_install_{}.sh", feature), feature + ".sh", feature};
}

VmResult LoadVms(std::string_view json_text) {
  VmResult result;
  const std::optional<JsonDocument> document = JsonDocument::Parse(json_text, result.findings);
  if (!document.has_value()) return result;
  const Cursor root = Cursor::Root(*document, result.findings);
  if (!root.RequireObject()) return result;
  const Cursor vms = root.Key("vms");
  if (!vms.present()) vms.Error("missing", "this file declares no VMs", "a list of VMs");
  VmReader reader(result);
  for (const Cursor& vm : vms.Elements()) reader.Read(vm);
  result.findings.SortByPlace();
  return result;
}

}  // namespace phoenix::config

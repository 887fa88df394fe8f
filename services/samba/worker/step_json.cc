#include "services/samba/worker/step_json.h"

#include "base/status/errors.h"

namespace phoenix::samba {
namespace {

using Json = nlohmann::json;

// The member that tells which step it is.
constexpr char kKind[] = "samba_step";

struct Writer {
  Json operator()(const MakeOwnFile&) const { return {{kKind, "make-own-file"}}; }
  Json operator()(const IncludeOwnFile&) const { return {{kKind, "include-own-file"}}; }
  Json operator()(const AddAccount& step) const {
    return {{kKind, "add-account"}, {"name", step.name}, {"paths", step.paths}};
  }
  Json operator()(const RemoveAccount& step) const {
    return {{kKind, "remove-account"}, {"name", step.name}, {"uid", step.uid}};
  }
  Json operator()(const SetPassword& step) const {
    return {{kKind, "set-password"}, {"name", step.name}, {"secret", step.secret},
            {"mac", step.mac},       {"add", step.add},   {"created", step.created}};
  }
  Json operator()(const RemoveEntry& step) const { return {{kKind, "remove-entry"}, {"name", step.name}}; }
  Json operator()(const SetGlobals& step) const {
    return {{kKind, "set-globals"}, {"parameters", step.parameters}};
  }
  Json operator()(const SetShare& step) const {
    return {{kKind, "set-share"},
            {"section", ToJson(step.section)},
            {"created", step.created},
            {"probe_user", step.probe_user},
            {"probe_secret", step.probe_secret},
            {"writable", step.writable},
            {"stranger", step.stranger},
            {"stranger_secret", step.stranger_secret},
            {"ends", ToText(step.ends)}};
  }
  Json operator()(const RemoveShare& step) const { return {{kKind, "remove-share"}, {"name", step.name}}; }
};

}  // namespace

Json ToJson(const Section& section) { return {{"name", section.name}, {"parameters", section.parameters}}; }

Section ToSection(const Json& json) {
  if (!json.is_object()) return {};
  return {json.value("name", ""), json.value("parameters", Parameters())};
}

std::string ToPayload(const SambaStep& step) { return std::visit(Writer(), step).dump(); }

absl::StatusOr<SambaStep> ParsePayload(const std::string& payload) {
  const Json json = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains(kKind)) return Internal("this is no step of Samba");
  const std::string kind = json.value(kKind, "");
  const std::string name = json.value("name", "");
  if (kind == "make-own-file") return SambaStep(MakeOwnFile{});
  if (kind == "include-own-file") return SambaStep(IncludeOwnFile{});
  if (kind == "add-account")
    return SambaStep(AddAccount{name, json.value("paths", std::vector<std::string>())});
  if (kind == "remove-account") return SambaStep(RemoveAccount{name, json.value("uid", "")});
  if (kind == "set-password") {
    return SambaStep(SetPassword{name, json.value("secret", ""), json.value("mac", ""),
                                 json.value("add", false), json.value("created", false)});
  }
  if (kind == "remove-entry") return SambaStep(RemoveEntry{name});
  if (kind == "set-globals") return SambaStep(SetGlobals{json.value("parameters", Parameters())});
  if (kind == "set-share") {
    return SambaStep(SetShare{ToSection(json.value("section", Json())), json.value("created", false),
                              json.value("probe_user", ""), json.value("probe_secret", ""),
                              json.value("writable", false), json.value("stranger", ""),
                              json.value("stranger_secret", ""), ParseCut(json.value("ends", ""))});
  }
  if (kind == "remove-share") return SambaStep(RemoveShare{name});
  return Internal("unknown step of Samba: {}", kind);
}

}  // namespace phoenix::samba

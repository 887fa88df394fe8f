#include "services/nfs/worker/nfs_json.h"

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::nfs {
namespace {

using Json = nlohmann::json;

// Any missing or mistyped member is one error: what is read here was written here.
absl::Status Broken(std::string_view what) { return DataLoss("{} is not what this service writes", what); }

absl::StatusOr<Json> ParseObject(std::string_view text, std::string_view what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Broken(what);
  return json;
}

absl::StatusOr<std::string> TextOf(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_string()) return Broken(name);
  return found->get<std::string>();
}

absl::StatusOr<bool> FlagOf(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_boolean()) return Broken(name);
  return found->get<bool>();
}

absl::StatusOr<std::vector<std::string>> TextsOf(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_array()) return Broken(name);
  std::vector<std::string> texts;
  for (const Json& one : *found) {
    if (!one.is_string()) return Broken(name);
    texts.push_back(one.get<std::string>());
  }
  return texts;
}

absl::StatusOr<Json> MemberOf(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) return Broken(name);
  return *found;
}

Json LiveToJson(const std::vector<LiveExport>& live) {
  Json json = Json::array();
  for (const LiveExport& one : live) {
    json.push_back({{"path", one.path}, {"client", one.client}, {"options", one.options}});
  }
  return json;
}

absl::StatusOr<std::vector<LiveExport>> LiveFromJson(const Json& json, const char* name) {
  PHX_ASSIGN_OR_RETURN(const Json list, MemberOf(json, name));
  std::vector<LiveExport> live;
  for (const Json& member : list) {
    LiveExport one;
    PHX_ASSIGN_OR_RETURN(one.path, TextOf(member, "path"));
    PHX_ASSIGN_OR_RETURN(one.client, TextOf(member, "client"));
    PHX_ASSIGN_OR_RETURN(one.options, TextsOf(member, "options"));
    live.push_back(std::move(one));
  }
  return live;
}

}  // namespace

Json ToJson(const std::optional<ExportEntry>& entry) {
  if (!entry) return nullptr;
  Json clients = Json::array();
  for (const ClientEntry& client : entry->clients) {
    clients.push_back({{"client", client.client}, {"options", client.options}});
  }
  return {{"path", entry->path}, {"clients", clients}};
}

absl::StatusOr<std::optional<ExportEntry>> EntryFromJson(const Json& json) {
  if (json.is_null()) return std::optional<ExportEntry>();
  if (!json.is_object()) return Broken("an export");
  ExportEntry entry;
  PHX_ASSIGN_OR_RETURN(entry.path, TextOf(json, "path"));
  PHX_ASSIGN_OR_RETURN(const Json clients, MemberOf(json, "clients"));
  for (const Json& one : clients) {
    ClientEntry client;
    PHX_ASSIGN_OR_RETURN(client.client, TextOf(one, "client"));
    PHX_ASSIGN_OR_RETURN(client.options, TextsOf(one, "options"));
    entry.clients.push_back(std::move(client));
  }
  return std::optional(std::move(entry));
}

std::string ToPayload(const StepPayload& payload) {
  if (payload.kind == StepPayload::Kind::kMakeFile) return Json{{"nfs", "file"}}.dump();
  if (payload.kind == StepPayload::Kind::kPutLive)
    return Json{{"nfs", "live"}, {"paths", payload.put_live}}.dump();
  const SetExport& set = payload.set;
  return Json{{"nfs", "export"},
              {"path", set.path},
              {"before", ToJson(set.before)},
              {"after", ToJson(set.after)},
              {"created", set.created},
              {"path_there", set.path_there}}
      .dump();
}

absl::StatusOr<StepPayload> FromPayload(std::string_view text) {
  PHX_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "the payload of a step"));
  PHX_ASSIGN_OR_RETURN(const std::string kind, TextOf(json, "nfs"));
  StepPayload payload;
  if (kind == "file") {
    payload.kind = StepPayload::Kind::kMakeFile;
    return payload;
  }
  if (kind == "live") {
    payload.kind = StepPayload::Kind::kPutLive;
    PHX_ASSIGN_OR_RETURN(payload.put_live, TextsOf(json, "paths"));
    return payload;
  }
  if (kind != "export") return Broken("the kind of a step");
  SetExport& set = payload.set;
  PHX_ASSIGN_OR_RETURN(set.path, TextOf(json, "path"));
  PHX_ASSIGN_OR_RETURN(const Json before, MemberOf(json, "before"));
  PHX_ASSIGN_OR_RETURN(set.before, EntryFromJson(before));
  PHX_ASSIGN_OR_RETURN(const Json after, MemberOf(json, "after"));
  PHX_ASSIGN_OR_RETURN(set.after, EntryFromJson(after));
  PHX_ASSIGN_OR_RETURN(set.created, FlagOf(json, "created"));
  PHX_ASSIGN_OR_RETURN(set.path_there, FlagOf(json, "path_there"));
  return payload;
}

std::string ToText(const FileCapture& capture) {
  return Json{{"directory", capture.directory}, {"file", capture.file}}.dump();
}

absl::StatusOr<FileCapture> FileCaptureFrom(std::string_view text) {
  PHX_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "the capture of our file"));
  FileCapture capture;
  PHX_ASSIGN_OR_RETURN(capture.directory, FlagOf(json, "directory"));
  PHX_ASSIGN_OR_RETURN(capture.file, FlagOf(json, "file"));
  return capture;
}

std::string ToText(const LiveCapture& capture) { return Json{{"live", LiveToJson(capture.live)}}.dump(); }

absl::StatusOr<LiveCapture> LiveCaptureFrom(std::string_view text) {
  PHX_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "the capture of the server's table"));
  LiveCapture capture;
  PHX_ASSIGN_OR_RETURN(capture.live, LiveFromJson(json, "live"));
  return capture;
}

std::string ToText(const ExportCapture& capture) {
  return Json{{"entry", ToJson(capture.entry)}, {"besides", LiveToJson(capture.besides)}}.dump();
}

absl::StatusOr<ExportCapture> ExportCaptureFrom(std::string_view text) {
  PHX_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "the capture of an export"));
  ExportCapture capture;
  PHX_ASSIGN_OR_RETURN(const Json entry, MemberOf(json, "entry"));
  PHX_ASSIGN_OR_RETURN(capture.entry, EntryFromJson(entry));
  PHX_ASSIGN_OR_RETURN(capture.besides, LiveFromJson(json, "besides"));
  return capture;
}

}  // namespace phoenix::nfs

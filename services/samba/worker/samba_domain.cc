#include "services/samba/worker/samba_domain.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/samba/domain/loopback_login.h"
#include "services/samba/host/samba_command.h"
#include "services/samba/worker/step_json.h"

namespace phoenix::samba {
namespace {

using Json = nlohmann::json;
using kit::Key;

// A name that no file of a user has.
constexpr char kProbeName[] = ".phoenix-probe-";

bool IsWrongPassword(std::string_view said) {
  return said.find("NT_STATUS_LOGON_FAILURE") != std::string_view::npos ||
         said.find("NT_STATUS_ACCOUNT_") != std::string_view::npos;
}

struct LedgerWriter {
  const SambaPaths& paths;
  const Json captured;
  const std::string uid;  // of the account that the step is about
  kit::LedgerChange change;

  void Put(const std::string& key, const std::string& identity, bool created, const Json& fields) {
    kit::LedgerEntry entry;
    entry.key = key;
    entry.identity = identity;
    entry.created = created;
    entry.fields = fields.dump();
    change.put.push_back(std::move(entry));
  }
  void operator()(const MakeOwnFile&) { Put(Key("file", paths.own_file), "", true, Json::object()); }
  void operator()(const IncludeOwnFile&) { Put(Key("include", paths.smb_conf), "", true, Json::object()); }
  void operator()(const AddAccount& step) { Put(Key("user", step.name), uid, true, Json::object()); }
  void operator()(const RemoveAccount& step) { change.remove.push_back(Key("user", step.name)); }
  void operator()(const SetPassword& step) {
    Put(Key("passdb", step.name), "", step.created, {{"mac", step.mac}});
  }
  void operator()(const RemoveEntry& step) { change.remove.push_back(Key("passdb", step.name)); }
  void operator()(const SetGlobals& step) { Put("globals", "", true, step.parameters); }
  void operator()(const SetShare& step) {
    const std::string former = ToSection(captured.value("section", Json())).name;
    if (!former.empty() && former != step.section.name) change.remove.push_back(Key("share", former));
    Put(Key("share", step.section.name), Sha256Hex(ToJson(step.section).dump()), step.created,
        step.section.parameters);
  }
  void operator()(const RemoveShare& step) { change.remove.push_back(Key("share", step.name)); }
};

struct CommandWriter {
  const SambaPaths& paths;
  const Json captured;

  std::string Reload() const { return "smbcontrol smbd reload-config"; }
  std::vector<std::string> operator()(const MakeOwnFile&) const { return {"rm " + paths.own_file}; }
  std::vector<std::string> operator()(const IncludeOwnFile&) const {
    return {fmt::format("sed -i '\\#^include = {}$#d' {}", paths.own_file, paths.smb_conf), Reload()};
  }
  std::vector<std::string> Group(const std::string& name) const {
    if (!captured.value("group", false)) return {};
    return {fmt::format("groupadd -g {} {}   # where it is missing", captured.value("gid", 0u), name)};
  }
  std::vector<std::string> operator()(const AddAccount& step) const {
    std::vector<std::string> commands = {"userdel " + step.name};
    for (auto& command : Group(step.name)) commands.push_back(std::move(command));
    return commands;
  }
  std::vector<std::string> operator()(const RemoveAccount& step) const {
    std::vector<std::string> commands = Group(step.name);
    const Json account = captured.value("account", Json::object());
    commands.push_back(fmt::format("useradd -M -N -u {} -g {} -d {} -s {} -c '{}' {}", step.uid,
                                   account.value("gid", 0u), account.value("home", "/nonexistent"),
                                   account.value("shell", "/usr/sbin/nologin"), account.value("comment", ""),
                                   step.name));
    const auto gids = captured.value("groups", std::vector<uint32_t>());
    if (!gids.empty())
      commands.push_back(fmt::format("usermod -a -G {} {}", fmt::join(gids, ","), step.name));
    return commands;
  }
  std::vector<std::string> operator()(const SetPassword& step) const {
    if (step.add) return {"pdbedit -x " + step.name};
    return {fmt::format("smbpasswd {}   # and enter the former password", step.name)};
  }
  std::vector<std::string> operator()(const RemoveEntry& step) const {
    return {fmt::format("smbpasswd -a {}   # and enter the former password", step.name)};
  }
  std::vector<std::string> operator()(const SetGlobals&) const {
    return {"edit [global] in " + paths.own_file, "testparm -s", Reload()};
  }
  std::vector<std::string> operator()(const SetShare& step) const {
    std::vector<std::string> commands = {fmt::format("edit [{}] in {}", step.section.name, paths.own_file),
                                         "testparm -s", Reload()};
    const Section former = ToSection(captured.value("section", Json()));
    const Cut cut = SessionsToEnd(&step.section, former.name.empty() ? nullptr : &former);
    if (cut != Cut::kNobody) commands.push_back(ToText(EndSessionsCommand(step.section.name, cut)));
    return commands;
  }
  std::vector<std::string> operator()(const RemoveShare& step) const {
    return {fmt::format("put [{}] back into {}", step.name, paths.own_file), "testparm -s", Reload()};
  }
};

}  // namespace

SambaDomain::SambaDomain(SambaHost& host, Files& files, node::NodeSteps& node, SealedStore& sealed,
                         SpecParser parser, SambaPaths paths)
    : host_(host),
      files_(files),
      node_(node),
      sealed_(sealed),
      parser_(std::move(parser)),
      paths_(std::move(paths)) {}

kit::DomainDescription SambaDomain::Describe() {
  kit::DomainDescription description{"samba", {kSpecType}, {}};
  const auto version = host_.Version();
  description.tool_versions["samba"] = version.ok() && !version->empty() ? *version : "not installed";
  return description;
}

absl::StatusOr<std::vector<kit::ObservedField>> SambaDomain::Observe(const std::vector<std::string>& keys) {
  std::vector<kit::ObservedField> fields;
  PHX_ASSIGN_OR_RETURN(const std::string version, host_.Version());
  if (version.empty()) return fields;
  const auto wanted = [&](const std::string& key) {
    return keys.empty() || std::count(keys.begin(), keys.end(), key) > 0;
  };
  OwnFile own;
  PHX_ASSIGN_OR_RETURN(const auto text, files_.Read(paths_.own_file));
  if (text) {
    if (auto parsed = ParseOwnFile(text->content); parsed.ok()) own = *std::move(parsed);
  }
  PHX_ASSIGN_OR_RETURN(const auto live, host_.ReadConfig());
  for (const auto& [name, section] : live.dump.shares) {
    const std::string key = Key("share", section.name);
    if (!wanted(key)) continue;
    const std::string source = own.Find(name) != nullptr ? paths_.own_file : paths_.smb_conf;
    for (const auto& [parameter, value] : section.parameters)
      fields.push_back({key, parameter, value, source});
  }
  PHX_ASSIGN_OR_RETURN(const auto entries, host_.ReadPassdb());
  for (const auto& [name, entry] : entries) {
    if (!wanted(Key("passdb", name))) continue;
    fields.push_back({Key("passdb", name), "password set", TimeText(entry.last_set), "passdb"});
    PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(name));
    if (account) fields.push_back({Key("passdb", name), "uid", std::to_string(account->uid), "passwd"});
  }
  return fields;
}

absl::StatusOr<std::string> SambaDomain::Capture(const kit::Step& step, const std::string& run_id) {
  if (node::NodeSteps::Owns(step)) return node_.Capture(step, run_id);
  PHX_ASSIGN_OR_RETURN(const SambaStep typed, ParsePayload(step.payload));
  return std::visit([&](const auto& one) { return CaptureOf(one); }, typed);
}

absl::Status SambaDomain::Do(const kit::Step& step, const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.Do(step, context);
  PHX_ASSIGN_OR_RETURN(const SambaStep typed, ParsePayload(step.payload));
  return std::visit([&](const auto& one) { return DoStep(one, context); }, typed);
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeStep(const kit::Step& step,
                                                        const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.ProbeStep(step, context);
  PHX_ASSIGN_OR_RETURN(const SambaStep typed, ParsePayload(step.payload));
  return std::visit([&](const auto& one) { return ProbeOf(one, context); }, typed);
}

absl::Status SambaDomain::Undo(const kit::Step& step, const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.Undo(step, context);
  PHX_ASSIGN_OR_RETURN(const SambaStep typed, ParsePayload(step.payload));
  return std::visit([&](const auto& one) { return UndoStep(one, context); }, typed);
}

std::vector<std::string> SambaDomain::RemainingCommands(const kit::Step& step,
                                                        const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.RemainingCommands(step, context);
  const auto typed = ParsePayload(step.payload);
  if (!typed.ok()) return {};
  const Json captured = Json::parse(context.captured, nullptr, /*allow_exceptions=*/false);
  return std::visit(CommandWriter{paths_, captured.is_object() ? captured : Json::object()}, *typed);
}

absl::StatusOr<kit::LedgerChange> SambaDomain::LedgerOf(const kit::Step& step,
                                                        const kit::StepContext& context) {
  if (node::NodeSteps::Owns(step)) return node_.LedgerOf(step, context);
  PHX_ASSIGN_OR_RETURN(const SambaStep typed, ParsePayload(step.payload));
  std::string uid;
  if (const auto* add = std::get_if<AddAccount>(&typed)) {
    PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(add->name));
    if (!account) return NotFound("the account {} is not there", add->name);
    uid = std::to_string(account->uid);
  }
  const Json captured = Json::parse(context.captured, nullptr, /*allow_exceptions=*/false);
  LedgerWriter writer{paths_, captured.is_object() ? captured : Json::object(), uid, {}};
  std::visit(writer, typed);
  return std::move(writer.change);
}

absl::StatusOr<kit::Retrospect> SambaDomain::LookBack(const kit::Step& step, const kit::StepContext&) {
  if (node::NodeSteps::Owns(step)) return kit::Retrospect();
  PHX_ASSIGN_OR_RETURN(const SambaStep typed, ParsePayload(step.payload));
  const auto* set = std::get_if<SetPassword>(&typed);
  if (set != nullptr && !set->add) {
    return kit::Retrospect{kit::Retrospect::Kind::kStays,
                           "the former password was not kept after the commit"};
  }
  if (std::holds_alternative<RemoveEntry>(typed)) {
    return kit::Retrospect{kit::Retrospect::Kind::kStays,
                           "the password of the removed user was not kept after the commit"};
  }
  return kit::Retrospect();
}

absl::Status SambaDomain::VerifyPassword(const SetPassword& step, const Secret& password,
                                         kit::VerifyReport& report) {
  PHX_ASSIGN_OR_RETURN(const OwnFile own, ReadOwn());
  const auto lists = [&](const Section& section) {
    const auto valid = section.parameters.find("valid users");
    if (valid == section.parameters.end() || section.parameters.count("invalid users") != 0) return false;
    const auto names = Words(valid->second);
    return std::find(names.begin(), names.end(), step.name) != names.end();
  };
  std::string why = "no share of ours lists the account";
  for (const auto& [key, section] : own.shares) {
    if (!lists(section)) continue;
    const absl::Status status = host_.TryLogin({section.name, step.name, ""}, password);
    if (status.ok()) {
      report.probes.push_back(fmt::format("user {}: logged in to {}", step.name, section.name));
      return absl::OkStatus();
    }
    why = fmt::format("{}: {}", section.name, Message(status));
    // Everything else is about the share: its folder may be gone, or closed to this one user.
    if (IsWrongPassword(why))
      return Annotate(status, fmt::format("user {}: login to {}", step.name, section.name));
  }
  report.not_probed.push_back(fmt::format("user {}: {}", step.name, why));
  return absl::OkStatus();
}

absl::StatusOr<kit::VerifyReport> SambaDomain::Verify(const kit::VerifyInput& input) {
  kit::VerifyReport report;
  const auto secret = [&](const std::string& name) -> const Secret* {
    if (input.secrets == nullptr || name.empty()) return nullptr;
    const auto found = input.secrets->find(name);
    return found == input.secrets->end() ? nullptr : &found->second;
  };
  std::set<std::string> probed;
  std::vector<SetPassword> passwords;
  for (const kit::Step& step : input.applied) {
    const auto typed = ParsePayload(step.payload);
    if (const auto* changed = typed.ok() ? std::get_if<SetPassword>(&*typed) : nullptr)
      passwords.push_back(*changed);
    const auto* set = typed.ok() ? std::get_if<SetShare>(&*typed) : nullptr;
    if (set == nullptr) continue;
    const std::string& share = set->section.name;
    const Secret* password = secret(set->probe_secret);
    if (password == nullptr) {
      report.not_probed.push_back(fmt::format("share {}: no password of one of its users was given", share));
      continue;
    }
    LoginProbe probe{share, set->probe_user, ""};
    if (set->writable) probe.write = kProbeName + ToHex(RandomBytes(6));
    absl::Status status = host_.TryLogin(probe, *password);
    if (!status.ok()) {
      // What is declared may shut out the probe alone: then there is nothing wrong with the share.
      PHX_ASSIGN_OR_RETURN(const auto live, host_.ReadConfig());
      if (const std::string reason = WhyLoopbackIsShutOut(live.dump, share); !reason.empty()) {
        report.not_probed.push_back(
            fmt::format("share {}: by {} nobody logs in from the node itself", share, reason));
        continue;
      }
      if (!probe.write.empty() && IsVetoed(live.dump, share, probe.write)) {
        report.not_probed.push_back(
            fmt::format("share {}: nothing is written, since its veto files hide {}", share, probe.write));
        probe.write.clear();
        status = host_.TryLogin(probe, *password);
      }
    }
    if (status.code() == absl::StatusCode::kFailedPrecondition) {
      report.not_probed.push_back(fmt::format("share {}: {}", share, Message(status)));
      continue;
    }
    PHX_RETURN_IF_ERROR(Annotate(status, fmt::format("share {}: login as {}", share, set->probe_user)));
    probed.insert(set->probe_user);
    report.probes.push_back(
        fmt::format("share {}: {} logged in and {}", share, set->probe_user,
                    probe.write.empty() ? "listed it" : "wrote, read and deleted a file"));
    // Only where the one who may come in can: then the server answers, and a refusal means something.
    const Secret* strangers = secret(set->stranger_secret);
    if (strangers == nullptr) continue;
    const absl::Status refused = host_.TryLogin({share, set->stranger, ""}, *strangers);
    if (refused.ok()) {
      return FailedPrecondition("share {}: {} is none of its valid users, and is let in all the same", share,
                                set->stranger);
    }
    if (!absl::IsPermissionDenied(refused))
      return Annotate(refused,
                      fmt::format("share {}: login as {}, who is to be refused", share, set->stranger));
    report.probes.push_back(
        fmt::format("share {}: {}, none of its valid users, was refused", share, set->stranger));
  }
  for (const SetPassword& changed : passwords) {
    const Secret* password = secret(changed.secret);
    if (password == nullptr || probed.count(changed.name) != 0) continue;
    PHX_RETURN_IF_ERROR(VerifyPassword(changed, *password, report));
  }
  return report;
}

absl::Status SambaDomain::Close(const std::string& run_id, bool /*committed*/) {
  return sealed_.Forget(run_id);
}

std::string MacOf(const Secret& node_key, const Secret& nt_hash) {
  return HmacSha256Hex(node_key.Reveal(), "phoenix samba password\n" + nt_hash.Reveal());
}

}  // namespace phoenix::samba

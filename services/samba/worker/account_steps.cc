#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/samba/domain/nt_hash.h"
#include "services/samba/worker/samba_domain.h"
#include "services/samba/worker/step_json.h"
#include "services/samba/worker/step_render.h"

namespace phoenix::samba {
namespace {

using Json = nlohmann::json;
using kit::Probe;
using kit::ProbeResult;

Json Parsed(const std::string& captured) {
  const Json json = Json::parse(captured, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json::object();
}

std::string SealedName(const std::string& user) { return "passdb-" + user; }

Json AccountJson(const Account& account) {
  return {{"uid", account.uid},
          {"gid", account.gid},
          {"comment", account.comment},
          {"home", account.home},
          {"shell", account.shell}};
}

// The letters of "[DU         ]" without L, which Samba itself sets and clears after wrong passwords.
std::string LastingFlags(const std::string& flags) {
  std::string letters;
  for (const char c : flags) {
    if (c >= 'A' && c <= 'Z' && c != 'L') letters += c;
  }
  return letters;
}

// Whether nobody but smbpasswd, which switches a user on (D) and asks for a password again (N), touched them.
bool KeepsFlags(const Json& captured, const SambaEntry& entry) {
  const std::string now = LastingFlags(entry.flags);
  std::string before = captured.value("flags", now);
  if (now == before) return true;
  std::erase_if(before, [](char c) { return c == 'D' || c == 'N'; });
  return now == before;
}

Account FormerAccount(const std::string& name, const Json& captured) {
  const Json account = captured.value("account", Json::object());
  return {name,
          account.value("uid", 0u),
          account.value("gid", 0u),
          account.value("comment", ""),
          account.value("home", ""),
          account.value("shell", "")};
}

}  // namespace

// --- system accounts

absl::StatusOr<std::string> SambaDomain::CaptureOf(const AddAccount& step) {
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  Json captured = {{"present", account.has_value()}, {"group", group.has_value()}};
  if (group) captured["gid"] = *group;
  return captured.dump();
}

absl::Status SambaDomain::DoStep(const AddAccount& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  if (!account) return host_.AddAccount(step.name, AccountComment(context.run_id), context.on_child);
  if (account->comment != AccountComment(context.run_id)) {
    return AlreadyExists("the account {} appeared meanwhile and is not ours", step.name);
  }
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  // useradd writes /etc/passwd before /etc/group, and can end in between.
  return group ? absl::OkStatus() : host_.AddGroup(step.name, account->gid, context.on_child);
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const AddAccount& step, const Context& context) {
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  if (!account) {
    const bool as_before = group.has_value() == Parsed(context.captured).value("group", false);
    if (as_before) return ProbeResult{Probe::kNotDone, ""};
    return ProbeResult{Probe::kPartial,
                       group ? "only the group is there" : "the group went with the account"};
  }
  if (account->comment != AccountComment(context.run_id)) {
    return ProbeResult{Probe::kForeign,
                       fmt::format("the account {} is not ours: '{}'", step.name, account->comment)};
  }
  if (!group) return ProbeResult{Probe::kPartial, "the account is there, its group is not"};
  return ProbeResult{Probe::kDone, ""};
}

absl::Status SambaDomain::UndoStep(const AddAccount& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  const Json captured = Parsed(context.captured);
  const bool had_group = captured.value("group", false);
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  if (account) {
    // The comment alone tells: the run's id is in it, and no other account has it.
    if (account->comment != AccountComment(context.run_id)) {
      return FailedPrecondition("the account {} is not the one that this run created ('{}'); it stays",
                                step.name, account->comment);
    }
    PHX_ASSIGN_OR_RETURN(const auto owned, host_.FindFileOf(account->uid, step.paths));
    if (owned) {
      return FailedPrecondition("the account {} owns {}, which would belong to nobody; it stays", step.name,
                                *owned);
    }
    PHX_RETURN_IF_ERROR(host_.RemoveAccount(step.name, context.on_child));
  }
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  if (group.has_value() == had_group) return absl::OkStatus();
  if (group) return host_.RemoveGroup(step.name, context.on_child);
  // userdel takes an empty group of the account's name along, whoever made it.
  return host_.AddGroup(step.name, captured.value("gid", 0u), context.on_child);
}

absl::StatusOr<std::string> SambaDomain::CaptureOf(const RemoveAccount& step) {
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  Json captured = {{"present", account.has_value()}, {"group", group.has_value()}};
  if (account) {
    captured["account"] = AccountJson(*account);
    PHX_ASSIGN_OR_RETURN(captured["groups"], host_.GroupsOf(step.name));
  }
  if (group) captured["gid"] = *group;
  return captured.dump();
}

absl::Status SambaDomain::DoStep(const RemoveAccount& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  if (!account) return absl::OkStatus();
  if (std::to_string(account->uid) != step.uid) {
    return Aborted("the account {} has uid {} instead of {}; it stays", step.name, account->uid, step.uid);
  }
  return host_.RemoveAccount(step.name, context.on_child);
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const RemoveAccount& step, const Context& context) {
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  const Json captured = Parsed(context.captured);
  if (!account) {
    PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
    return ProbeResult{Probe::kDone, group ? "its group stays: somebody else is in it" : ""};
  }
  if (*account != FormerAccount(step.name, captured))
    return ProbeResult{Probe::kForeign, "it is another account"};
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  if (group.has_value() != captured.value("group", false))
    return ProbeResult{Probe::kPartial, "its group is missing"};
  PHX_ASSIGN_OR_RETURN(const auto missing, MissingGroups(step.name, context.captured));
  if (missing.empty()) return ProbeResult{Probe::kNotDone, ""};
  return ProbeResult{Probe::kPartial, fmt::format("it is not in the group {} yet", missing.front())};
}

absl::Status SambaDomain::UndoStep(const RemoveAccount& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  const Json captured = Parsed(context.captured);
  const Account former = FormerAccount(step.name, captured);
  PHX_ASSIGN_OR_RETURN(const auto group, host_.FindGroup(step.name));
  if (!group && captured.value("group", false)) {
    PHX_RETURN_IF_ERROR(host_.AddGroup(step.name, captured.value("gid", former.gid), context.on_child));
  }
  PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(step.name));
  if (account && *account != former) {
    return FailedPrecondition("somebody made the account {} anew; it stays", step.name);
  }
  if (!account) PHX_RETURN_IF_ERROR(host_.RestoreAccount(former, context.on_child));
  PHX_ASSIGN_OR_RETURN(const auto missing, MissingGroups(step.name, context.captured));
  return missing.empty() ? absl::OkStatus() : host_.JoinGroups(step.name, missing, context.on_child);
}

absl::StatusOr<std::vector<uint32_t>> SambaDomain::MissingGroups(const std::string& name,
                                                                 const std::string& captured) {
  PHX_ASSIGN_OR_RETURN(const auto now, host_.GroupsOf(name));
  std::vector<uint32_t> missing;
  for (const uint32_t gid : Parsed(captured).value("groups", std::vector<uint32_t>())) {
    if (std::count(now.begin(), now.end(), gid) == 0) missing.push_back(gid);
  }
  return missing;
}

// --- passdb

absl::StatusOr<SambaEntry> SambaDomain::EntryNow(const std::string& name, const Secret& node_key,
                                                 bool& there) {
  PHX_ASSIGN_OR_RETURN(const auto entries, host_.ReadPassdb());
  const auto found = entries.find(name);
  there = found != entries.end();
  if (!there) return SambaEntry{};
  return SambaEntry{found->second.last_set, MacOf(node_key, found->second.nt_hash), found->second.flags};
}

absl::StatusOr<std::string> SambaDomain::CaptureOf(const SetPassword& step) {
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, Secret(), there));
  return Json{{"present", there}, {"last_set", entry.last_set}, {"flags", LastingFlags(entry.flags)}}.dump();
}

absl::Status SambaDomain::DoStep(const SetPassword& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, context.node_key, there));
  if (there && entry.mac == step.mac) return absl::OkStatus();
  const Json captured = Parsed(context.captured);
  if (there != captured.value("present", false) || entry.last_set != captured.value("last_set", int64_t{0})) {
    return Aborted("somebody else changed the Samba user {} meanwhile", step.name);
  }
  const auto none = Secrets();
  const Secrets& secrets = context.secrets == nullptr ? none : *context.secrets;
  const auto password = secrets.find(step.secret);
  if (password == secrets.end())
    return FailedPrecondition("the secret '{}' is not at hand any more", step.secret);
  if (MacOf(context.node_key, NtHash(password->second)) != step.mac) {
    return Aborted("the secret '{}' is not the one that was planned with", step.secret);
  }
  if (!there) return host_.AddEntry(step.name, password->second, context.on_child);
  PHX_ASSIGN_OR_RETURN(const Secret former, host_.ExportEntry(step.name));
  PHX_RETURN_IF_ERROR(sealed_.Put(context.run_id, SealedName(step.name), context.node_key, former));
  return host_.SetPassword(step.name, password->second, context.on_child);
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const SetPassword& step, const Context& context) {
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, context.node_key, there));
  const Json captured = Parsed(context.captured);
  if (there && entry.mac == step.mac) {
    if (step.add || KeepsFlags(captured, entry)) return ProbeResult{Probe::kDone, ""};
    return ProbeResult{Probe::kForeign,
                       fmt::format("the Samba user {} has the flags {}", step.name, entry.flags)};
  }
  if (there == captured.value("present", false) && entry.last_set == captured.value("last_set", int64_t{0})) {
    return ProbeResult{Probe::kNotDone, ""};
  }
  return ProbeResult{Probe::kForeign, fmt::format("the Samba user {} {}", step.name,
                                                  there ? "has another password" : "is gone")};
}

absl::Status SambaDomain::UndoStep(const SetPassword& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  const Json captured = Parsed(context.captured);
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, context.node_key, there));
  // The password is asked before the time: passdb counts seconds, and a run can set two passwords within one.
  const bool ours = there && entry.mac == step.mac;
  if (!ours && there == captured.value("present", false) &&
      entry.last_set == captured.value("last_set", int64_t{0})) {
    return absl::OkStatus();
  }
  if (!ours) {
    return FailedPrecondition("somebody else changed the password of the Samba user {}; it stays as it is",
                              step.name);
  }
  if (step.add) return host_.RemoveEntry(step.name, context.on_child);
  // The former entry brings its flags along: a user that was switched off meanwhile would be on again.
  if (!KeepsFlags(captured, entry)) {
    return FailedPrecondition("somebody else set the flags of the Samba user {} to {}; it stays as it is",
                              step.name, entry.flags);
  }
  PHX_ASSIGN_OR_RETURN(const auto former,
                       sealed_.Get(context.run_id, SealedName(step.name), context.node_key));
  if (!former) return DataLoss("the sealed former password of the Samba user {} is not there", step.name);
  return host_.ImportEntry(step.name, *former);
}

absl::StatusOr<std::string> SambaDomain::CaptureOf(const RemoveEntry& step) {
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, Secret(), there));
  return Json{{"present", there}, {"last_set", entry.last_set}, {"flags", LastingFlags(entry.flags)}}.dump();
}

absl::Status SambaDomain::DoStep(const RemoveEntry& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, context.node_key, there));
  if (!there) return absl::OkStatus();
  if (entry.last_set != Parsed(context.captured).value("last_set", int64_t{0})) {
    return Aborted("somebody else changed the Samba user {} meanwhile", step.name);
  }
  PHX_ASSIGN_OR_RETURN(const Secret former, host_.ExportEntry(step.name));
  PHX_RETURN_IF_ERROR(sealed_.Put(context.run_id, SealedName(step.name), context.node_key, former));
  return host_.RemoveEntry(step.name, context.on_child);
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const RemoveEntry& step, const Context& context) {
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, context.node_key, there));
  if (!there) return ProbeResult{Probe::kDone, ""};
  const bool former = entry.last_set == Parsed(context.captured).value("last_set", int64_t{0});
  return ProbeResult{former ? Probe::kNotDone : Probe::kForeign,
                     former ? "" : "somebody else set a password"};
}

absl::Status SambaDomain::UndoStep(const RemoveEntry& step, const Context& context) {
  absl::MutexLock lock(&accounts_mutex_);
  bool there = false;
  PHX_ASSIGN_OR_RETURN(const SambaEntry entry, EntryNow(step.name, context.node_key, there));
  if (there && entry.last_set == Parsed(context.captured).value("last_set", int64_t{0}))
    return absl::OkStatus();
  if (there) return FailedPrecondition("somebody made the Samba user {} anew; it stays", step.name);
  PHX_ASSIGN_OR_RETURN(const auto former,
                       sealed_.Get(context.run_id, SealedName(step.name), context.node_key));
  if (!former) return DataLoss("the sealed entry of the Samba user {} is not there", step.name);
  return host_.ImportEntry(step.name, *former);
}

}  // namespace phoenix::samba

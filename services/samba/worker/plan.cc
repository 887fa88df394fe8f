#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/samba/domain/nt_hash.h"
#include "services/samba/domain/share_features.h"
#include "services/samba/worker/samba_domain.h"
#include "services/samba/worker/step_render.h"

namespace phoenix::samba {
namespace {

constexpr char kPort[] = "445";  // SMB over TCP
// Names, datagrams and sessions of NetBIOS.
constexpr std::pair<const char*, const char*> kNetbiosPorts[] = {
    {"137", "udp"}, {"138", "udp"}, {"139", "tcp"}};
constexpr char kServer[] = "smbd.service";
constexpr char kNetbiosServer[] = "nmbd.service";
// A module that is missing closes the share, and testparm does not say so; the package is only recommended
// by samba, and not installed with it.
constexpr char kModulePackage[] = "samba-vfs-modules";

constexpr char kDisableNetbios[] = "disable netbios";

absl::Status Wrong(const std::vector<FieldViolation>& violations) {
  std::string text = "what is wanted of Samba cannot be brought about:";
  for (const auto& violation : violations)
    text += fmt::format("\n  {}: {}", violation.field, violation.description);
  return WithViolations(WithReason(InvalidArgument("{}", text), {"INVALID_SAMBA_SPEC", {}}), violations);
}

// Everything that the spec, our file or the ledger names.
struct Names {
  std::set<std::string> accounts, groups, paths;

  Names(const SambaSpec& spec, const OwnFile& own, const kit::Ledger& ledger) {
    for (const UserSpec& user : spec.users) accounts.insert(user.name);
    for (const ShareSpec& share : spec.shares) {
      if (share.absent) continue;
      paths.insert(share.path);
      for (const std::string& user : share.valid_users) {
        IsGroup(user) ? groups.insert(user.substr(1)) : accounts.insert(user);
      }
    }
    for (const auto& [key, section] : own.shares) {
      const auto path = section.parameters.find("path");
      if (path != section.parameters.end() && path->second.starts_with("/")) paths.insert(path->second);
    }
    for (const auto& [key, entry] : ledger) {
      const std::string name(kit::NameOf(key));
      if (kit::KindOf(key) == "user" && IsAccountName(name)) accounts.insert(name);
    }
    groups.insert(accounts.begin(), accounts.end());
  }
};

// The state in words, without what moves by itself.
std::string Fingerprint(const SambaState& state, const std::string& node_text) {
  std::string text = node_text + fmt::format("installed {}\n", state.installed);
  text += "smb.conf " + Sha256Hex(state.smb_conf.value_or("")) + "\n";
  text += "own " + Sha256Hex(state.own_text.value_or("")) + "\n";
  for (const auto& [name, account] : state.accounts)
    text += fmt::format("user {} {} {}\n", name, account.uid, account.gid);
  for (const auto& group : state.groups) text += fmt::format("group {}\n", group);
  for (const auto& [name, entry] : state.entries) text += fmt::format("passdb {} {}\n", name, entry.last_set);
  for (const auto& [key, share] : state.others.shares) text += fmt::format("other share {}\n", key);
  for (const auto& path : state.directories) text += fmt::format("directory {}\n", path);
  return text;
}

// Passwords that no tool would take as they are.
void CheckSecret(const std::string& name, const Secret& secret, std::vector<FieldViolation>& violations) {
  if (secret.empty()) violations.push_back({name, "the secret is empty"});
  if (secret.Reveal().find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
    violations.push_back({name, "the secret holds a line break, which smbpasswd takes for its end"});
  }
}

std::vector<std::string> NewProblems(const std::vector<std::string>& before,
                                     const std::vector<std::string>& after) {
  std::vector<std::string> fresh;
  for (const std::string& problem : after) {
    if (std::count(before.begin(), before.end(), problem) == 0) fresh.push_back(problem);
  }
  return fresh;
}

bool WantsNetbios(const SambaSpec& spec) {
  const auto disabled = spec.globals.find(kDisableNetbios);
  return disabled != spec.globals.end() && ParseBool(disabled->second) == false;
}

// Debian's nmbd comes with the package, and starts with the next boot unless smb.conf disables NetBIOS. Where
// we bring the package nobody lives by it yet: without a word from the spec it is off, and stays so.
void KeepNetbiosOff(const SambaState& state, SambaSpec& spec) {
  const auto present = [](const auto& wanted) { return !wanted.absent; };
  const bool wants = std::any_of(spec.shares.begin(), spec.shares.end(), present) ||
                     std::any_of(spec.users.begin(), spec.users.end(), present);
  const auto own = state.own.globals.find(kDisableNetbios);
  const bool is_off = own != state.own.globals.end() && ParseBool(own->second).value_or(false);
  if ((!state.installed && wants) || is_off) spec.globals.emplace(kDisableNetbios, "Yes");
}

// The rules are for the spec's clients: without any, a firewall keeps everybody out.
void NoteNobodyLetThrough(const SambaSpec& spec, const node::FirewallState& firewall, kit::Plan& plan) {
  const bool shares = std::any_of(spec.shares.begin(), spec.shares.end(),
                                  [](const ShareSpec& share) { return !share.absent; });
  const bool open = std::any_of(firewall.rules.begin(), firewall.rules.end(),
                                [](const node::SeenRule& rule) { return node::Opens(rule, kPort, "tcp"); });
  if (firewall.InCharge() == node::Firewall::kNone || spec.partial || !shares || !spec.clients.empty() ||
      open)
    return;
  plan.notes.push_back(
      {true, "firewall",
       fmt::format("samba: {} lets nobody through to the shares, since no clients are declared: say "
                   "network.default_subnet in the configuration, or open {}/tcp by hand",
                   node::NameOf(firewall.InCharge()), kPort)});
}

// What a node needs to serve what is wanted; nothing where nothing is.
node::NodeWants WantsOf(const SambaSpec& spec) {
  node::NodeWants wants;
  wants.participant = "samba";
  wants.partial = spec.partial;
  wants.prune_rules = spec.prune_rules;
  const auto present = [](const auto& wanted) { return !wanted.absent; };
  if (std::none_of(spec.shares.begin(), spec.shares.end(), present) &&
      std::none_of(spec.users.begin(), spec.users.end(), present))
    return wants;
  // The client logs in to what was set up, from the node itself.
  wants.packages = {"samba", "smbclient"};
  if (std::any_of(spec.shares.begin(), spec.shares.end(), NeedsModules))
    wants.packages.emplace_back(kModulePackage);
  wants.units = {kServer};
  const bool netbios = WantsNetbios(spec);
  if (netbios) wants.units.emplace_back(kNetbiosServer);
  for (const std::string& client : spec.clients) {
    wants.rules.push_back({client, kPort, "tcp"});
    for (const auto& [port, protocol] : kNetbiosPorts) {
      const bool ipv4 = client.find(':') == std::string::npos;  // all that NetBIOS knows
      if (netbios && ipv4) wants.rules.push_back({client, port, protocol});
    }
  }
  if (!wants.rules.empty()) wants.firewall_packages = {"ufw"};
  return wants;
}

}  // namespace

absl::StatusOr<SambaState> SambaDomain::ReadState(const SambaSpec& spec, const kit::Ledger& ledger,
                                                  const Secret& node_key) {
  SambaState state;
  PHX_ASSIGN_OR_RETURN(const std::string version, host_.Version());
  state.installed = !version.empty();
  PHX_ASSIGN_OR_RETURN(const auto smb_conf, files_.Read(paths_.smb_conf));
  if (smb_conf) state.smb_conf = smb_conf->content;
  state.included = smb_conf && Includes(smb_conf->content, paths_.own_file);
  PHX_ASSIGN_OR_RETURN(const auto own, files_.Read(paths_.own_file));
  if (own) {
    state.own_text = own->content;
    auto parsed = ParseOwnFile(own->content);
    if (parsed.ok()) {
      state.own = *std::move(parsed);
      state.own_is_ours = Render(state.own) == own->content;
    }
  }
  const Names names(spec, state.own, ledger);
  for (const std::string& name : names.accounts) {
    PHX_ASSIGN_OR_RETURN(const auto account, host_.FindAccount(name));
    if (account) state.accounts[name] = *account;
  }
  for (const std::string& name : names.groups) {
    PHX_ASSIGN_OR_RETURN(const auto gid, host_.FindGroup(name));
    if (gid) state.groups.insert(name);
  }
  for (const std::string& path : names.paths) {
    const auto directory = files_.ReadDirectory(path);
    if (directory.ok() && *directory) state.directories.insert(path);
  }
  for (const ShareSpec& share : spec.shares) {
    const bool asks = share.previous_versions || share.acl != ShareAcl::kUnsaid;
    if (share.absent || !asks || state.directories.count(share.path) == 0) continue;
    PHX_ASSIGN_OR_RETURN(state.mounts[share.path], host_.MountOf(share.path));
  }
  if (!state.installed) return state;
  PHX_ASSIGN_OR_RETURN(const auto entries, host_.ReadPassdb());
  for (const auto& [name, entry] : entries)
    state.entries[name] = {entry.last_set, MacOf(node_key, entry.nt_hash)};
  if (!state.smb_conf) return state;
  PHX_ASSIGN_OR_RETURN(const auto live, host_.ReadConfig());
  if (!live.loads) {
    // Not ours to complain about where nothing is wanted of it.
    if (spec.shares.empty() && spec.users.empty()) return state;
    return FailedPrecondition("Samba cannot read {}: {}", paths_.smb_conf,
                              live.problems.empty() ? "it does not say why" : live.problems.front());
  }
  state.live = live.dump;
  state.others = live.dump;
  if (!state.own.shares.empty() && state.included) {
    PHX_ASSIGN_OR_RETURN(const auto others, host_.CheckConfig(Render(OwnFile())));
    state.others = others.dump;
  }
  const auto backend = state.live.globals.find("passdb backend");
  state.passdb_restorable = backend == state.live.globals.end() || backend->second.starts_with("tdbsam");
  return state;
}

absl::Status SambaDomain::CheckAhead(const SambaPlan& plan, const SambaState& state) {
  const bool changes_file = std::any_of(plan.steps.begin(), plan.steps.end(), [](const PlannedStep& step) {
    return std::holds_alternative<SetShare>(step.step) || std::holds_alternative<SetGlobals>(step.step) ||
           std::holds_alternative<RemoveShare>(step.step);
  });
  // Without testparm the same check comes right before the file goes live.
  if (!changes_file || !state.installed || !state.smb_conf) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto after, host_.CheckConfig(Render(plan.own_after)));
  std::vector<FieldViolation> violations;
  if (!after.loads || !after.problems.empty()) {
    PHX_ASSIGN_OR_RETURN(const auto before, host_.ReadConfig());
    for (const std::string& problem : NewProblems(before.problems, after.problems)) {
      violations.push_back({"samba", "testparm: " + problem});
    }
    if (!after.loads && violations.empty())
      violations.push_back({"samba", "testparm does not load the configuration"});
  }
  for (const auto& planned : plan.steps) {
    const auto* set = std::get_if<SetShare>(&planned.step);
    if (set == nullptr || !after.loads) continue;
    const auto share = after.dump.shares.find(ShareKey(set->section.name));
    const std::string difference =
        share == after.dump.shares.end()
            ? "it does not see it at all"
            : Difference(set->section.parameters, share->second.parameters, after.dump.globals);
    if (difference.empty()) continue;
    violations.push_back(
        {"samba.shares." + set->section.name, "Samba would read the share otherwise: " + difference});
  }
  return violations.empty() ? absl::OkStatus() : Wrong(violations);
}

absl::StatusOr<kit::Plan> SambaDomain::MakePlan(const kit::PlanInput& input) {
  PHX_ASSIGN_OR_RETURN(SambaSpec spec, parser_(input.spec_type, input.spec));
  spec.partial = spec.partial || input.local;
  std::vector<FieldViolation> violations = Canonicalise(spec);

  PlanQuestion question;
  for (const UserSpec& user : spec.users) {
    const auto secret = input.secrets.find(user.password_secret);
    if (user.absent || secret == input.secrets.end()) continue;
    CheckSecret(user.password_secret, secret->second, violations);
    question.secrets[user.password_secret] = MacOf(input.node_key, NtHash(secret->second));
  }
  if (!violations.empty()) return Wrong(violations);

  PHX_ASSIGN_OR_RETURN(question.state, ReadState(spec, input.ledger, input.node_key));
  for (const auto& [key, entry] : input.ledger) question.ledger[key] = {entry.created, entry.identity};
  question.removed_keys = input.removed_keys;
  question.paths = paths_;
  question.spec = std::move(spec);
  KeepNetbiosOff(question.state, question.spec);
  AddOrphans(question);
  if (const auto stay = SharesThatStay(question); !stay.empty()) {
    std::string text = "shares stand on what is to go:";
    for (const auto& share : stay) text += "\n  " + share.description;
    return WithViolations(WithReason(FailedPrecondition("{}", text), {"PATH_IN_USE", {}}), stay);
  }
  const SambaPlan samba = MakeSambaPlan(question);
  if (!samba.violations.empty()) return Wrong(samba.violations);
  PHX_RETURN_IF_ERROR(CheckAhead(samba, question.state));

  PHX_ASSIGN_OR_RETURN(node::NodePlan node, node_.MakePlan(WantsOf(question.spec), input.ledger));

  kit::Plan plan;
  plan.steps = std::move(node.steps);
  plan.notes = std::move(node.notes);
  NoteNobodyLetThrough(question.spec, node.firewall, plan);
  plan.provided_now = std::move(node.provided_now);
  const auto has = [&](const std::string& key) {
    return std::count(plan.provided_now.begin(), plan.provided_now.end(), key) > 0;
  };
  const std::string unit = kit::Key("unit", kServer), modules = kit::Key("package", kModulePackage);
  const bool unit_runs = has(unit), modules_there = has(modules);
  const bool sets_globals = std::any_of(samba.steps.begin(), samba.steps.end(), [](const PlannedStep& step) {
    return std::holds_alternative<SetGlobals>(step.step);
  });
  for (kit::Step& step : plan.steps) {
    // Debian starts nmbd only where smb.conf does not disable NetBIOS.
    if (step.id == kit::Key("unit", kNetbiosServer))
      step.requires_keys.push_back({kGlobalsKey, !sets_globals});
  }
  for (const PlannedStep& planned : samba.steps) {
    plan.steps.push_back(Render(planned, paths_));
    const auto* set = std::get_if<SetShare>(&planned.step);
    if (set == nullptr) continue;
    // A running smbd takes a change by a reload; one that starts meanwhile might read the text before.
    plan.steps.back().requires_keys.push_back({unit, unit_runs});
    if (set->section.parameters.count("vfs objects") > 0)
      plan.steps.back().requires_keys.push_back({modules, modules_there});
  }
  plan.notes.insert(plan.notes.end(), samba.notes.begin(), samba.notes.end());
  for (const auto& [name, account] : question.state.accounts)
    plan.provided_now.push_back(kit::Key("user", name));
  for (const auto& group : question.state.groups) plan.provided_now.push_back(kit::Key("group", group));
  for (const auto& [name, entry] : question.state.entries)
    plan.provided_now.push_back(kit::Key("passdb", name));
  for (const ShareSpec& share : question.spec.shares) {
    if (share.absent) continue;
    if (question.state.own.Find(share.name) != nullptr)
      plan.provided_now.push_back(kit::Key("share", share.name));
    for (const std::string& key : input.disturbed_keys) {
      if (!kit::Satisfies(key, kit::Key("path", share.path))) continue;
      plan.notes.push_back(
          {false, share.name,
           fmt::format("clients of the share are interrupted while {} is away", share.path)});
    }
  }
  plan.base_fingerprint = Sha256Hex(Fingerprint(question.state, node.fingerprint_text));
  return plan;
}

}  // namespace phoenix::samba

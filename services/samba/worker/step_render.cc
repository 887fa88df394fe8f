#include "services/samba/worker/step_render.h"

#include <fmt/format.h>

#include "services/kit/plan/keys.h"
#include "services/samba/host/samba_command.h"
#include "services/samba/worker/step_json.h"

namespace phoenix::samba {
namespace {

using kit::Key;
using kit::StepClass;

constexpr char kReload[] = "smbcontrol smbd reload-config";

struct Renderer {
  const SambaPaths& paths;

  kit::Step operator()(const MakeOwnFile&) const {
    kit::Step step = Begin(Key("file", paths.own_file), paths.own_file, "create Samba file");
    step.undo = "remove the file";
    step.commands = {fmt::format("install -m 0644 /dev/stdin {}", paths.own_file)};
    step.provides = {step.id};
    return step;
  }
  kit::Step operator()(const IncludeOwnFile&) const {
    kit::Step step = Begin(Key("include", paths.smb_conf), paths.smb_conf, "include Samba file");
    step.undo = "take the line away; everything else in the file stays byte for byte";
    step.commands = {
        fmt::format("add 'include = {}' at the end of [global] in {}", paths.own_file, paths.smb_conf),
        kReload};
    step.provides = {step.id};
    return step;
  }
  kit::Step operator()(const AddAccount& add) const {
    kit::Step step = Begin(Key("user", add.name), add.name, "create system user");
    step.undo = "remove the account, unless somebody changed it or left files with it";
    step.commands = {fmt::format("useradd -M -U -d /nonexistent -s /usr/sbin/nologin -c '{}' {}",
                                 AccountComment("RUN"), add.name)};
    step.provides = {step.id, Key("group", add.name)};
    return step;
  }
  kit::Step operator()(const RemoveAccount& remove) const {
    kit::Step step = Begin(Key("user", remove.name), remove.name, "remove system user");
    step.undo = "create the account again with its uid, gid, comment and groups";
    step.commands = {fmt::format("userdel {}", remove.name)};
    step.removes = {step.id, Key("group", remove.name)};
    return step;
  }
  kit::Step operator()(const SetPassword& set) const {
    kit::Step step =
        Begin(Key("passdb", set.name), set.name, set.add ? "create Samba user" : "set Samba password");
    step.undo =
        set.add ? "remove the Samba user" : "put the former entry back, from a sealed copy on the node";
    step.commands = {fmt::format("smbpasswd -s {}{} < (secret)", set.add ? "-a " : "", set.name)};
    step.secrets = {set.secret};
    step.provides = {step.id};
    return step;
  }
  kit::Step operator()(const RemoveEntry& remove) const {
    kit::Step step = Begin(Key("passdb", remove.name), remove.name, "remove Samba user");
    step.undo = "put the entry back, from a sealed copy on the node";
    step.commands = {fmt::format("pdbedit -x {}", remove.name)};
    step.removes = {step.id};
    return step;
  }
  kit::Step operator()(const SetGlobals&) const {
    kit::Step step = Begin("globals", "globals", "set Samba globals");
    step.step_class = StepClass::kConfig;
    step.undo = "put the former parameters back and reload";
    step.commands = {fmt::format("write [global] of {}", paths.own_file), kReload};
    step.provides = {kGlobalsKey};
    return step;
  }
  kit::Step operator()(const SetShare& set) const {
    kit::Step step = Begin(Key("share", set.section.name), set.section.name, "set Samba share");
    step.step_class = StepClass::kConfig;
    step.undo = "put the former section back, or none, and reload";
    step.commands = {fmt::format("write [{}] of {}", set.section.name, paths.own_file), kReload};
    if (set.ends != Cut::kNobody) {
      step.undo = "put the former section back and reload; whose session was ended connects again by itself";
      step.commands.push_back(ToText(EndSessionsCommand(set.section.name, set.ends)));
    }
    step.provides = {step.id};
    return step;
  }
  kit::Step operator()(const RemoveShare& remove) const {
    kit::Step step = Begin(Key("share", remove.name), remove.name, "remove Samba share");
    step.step_class = StepClass::kConfig;
    step.undo = "put the section back and reload; whose session was ended connects again by itself";
    step.commands = {fmt::format("take [{}] out of {}", remove.name, paths.own_file), kReload,
                     ToText(EndSessionsCommand(remove.name, Cut::kEverybody))};
    step.removes = {step.id};
    return step;
  }

  static kit::Step Begin(const std::string& id, const std::string& resource, const std::string& action) {
    kit::Step step;
    step.id = id;
    step.resource = resource;
    step.action = action;
    step.step_class = StepClass::kExact;
    return step;
  }
};

}  // namespace

kit::Step Render(const PlannedStep& planned, const SambaPaths& paths) {
  kit::Step step = std::visit(Renderer{paths}, planned.step);
  step.diffs = planned.diffs;
  step.requires_keys = planned.requirements;
  step.payload = ToPayload(planned.step);
  return step;
}

std::string AccountComment(const std::string& run_id) { return "phoenix run " + run_id; }

}  // namespace phoenix::samba

#include "services/proxmox/worker/vm_change.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/plan/keys.h"
#include "services/proxmox/host/vm_command.h"

namespace phoenix::proxmox {
namespace {

using nlohmann::json;

// Another tool may rewrite the file between our reading and our change, or hold the VM.
constexpr int kTries = 3;

absl::StatusOr<Cicustom> ParseCaptured(const VmStep& step, const std::string& captured) {
  try {
    const json object = json::parse(captured);
    // Of a version that set one part alone.
    if (object.contains("volume") && step.after.size() == 1)
      return Cicustom{{step.after.begin()->first, object.at("volume").get<std::string>()}};
    return object.at("volumes").get<Cicustom>();
  } catch (const json::exception& error) {
    return DataLoss("what was captured for the step of a VM cannot be read: {}", error.what());
  }
}

std::string Shown(const Cicustom& volumes) {
  std::string text;
  for (const auto& [part, volume] : volumes) {
    text += fmt::format("{}{} as {} data", text.empty() ? "" : " and ", volume.empty() ? "nothing" : volume,
                        part);
  }
  return text;
}

Cicustom With(Cicustom cicustom, const Cicustom& volumes) {
  for (const auto& [part, volume] : volumes) {
    if (volume.empty()) {
      cicustom.erase(part);
    } else {
      cicustom[part] = volume;
    }
  }
  return cicustom;
}

}  // namespace

std::string ToPayload(const VmStep& step) {
  return json{{"vmid", step.vmid},
              {"before", step.before},
              {"after", step.after},
              {"storage", step.storage},
              {"needs_storage", step.needs_storage}}
      .dump();
}

absl::StatusOr<VmStep> VmFromPayload(std::string_view payload) {
  try {
    const json object = json::parse(payload);
    if (object.contains("part")) {  // likewise
      const auto part = object.at("part").get<std::string>();
      return VmStep{object.at("vmid").get<uint32_t>(),
                    {{part, object.at("before").get<std::string>()}},
                    {{part, object.at("after").get<std::string>()}},
                    object.at("storage").get<std::string>(),
                    object.at("needs_storage").get<bool>()};
    }
    return VmStep{object.at("vmid").get<uint32_t>(), object.at("before").get<Cicustom>(),
                  object.at("after").get<Cicustom>(), object.at("storage").get<std::string>(),
                  object.at("needs_storage").get<bool>()};
  } catch (const json::exception& error) {
    return DataLoss("a journaled step of a VM cannot be read: {}", error.what());
  }
}

std::string LedgerFields(const VmStep& step) { return json{{"volumes", step.after}}.dump(); }

kit::Step Render(const VmStep& typed) {
  kit::Step step;
  step.id = VmKey(typed.vmid);
  step.resource = fmt::format("VM {}", typed.vmid);
  step.action =
      typed.action() == VmAction::kSetCloudInit ? "set cloud-init data" : "take cloud-init data away";
  bool had_any = false;
  for (const auto& [part, volume] : typed.after) {
    const std::string& before = typed.before.at(part);
    step.diffs.push_back({"cicustom " + part, before, volume});
    had_any = had_any || !before.empty();
  }
  // What the VM did with the data, if it was started meanwhile, is the VM's.
  step.step_class = kit::StepClass::kConfig;
  step.undo = had_any ? "put the former volume back; the other parts of cicustom stay"
                      : "take this part of cicustom away again";
  step.commands = {ToText(SetCicustomCommand(typed.vmid, With({}, typed.after), ""))};
  if (typed.needs_storage) {
    const bool takes = typed.action() == VmAction::kTakeCloudInitAway;
    step.requires_keys.push_back({kit::Key("storage", typed.storage), takes});
  }
  step.payload = ToPayload(typed);
  return step;
}

absl::StatusOr<VmConfig> VmChanges::Read(uint32_t vmid) {
  PHX_ASSIGN_OR_RETURN(const VmPlaces places, host_.Read({vmid}));
  const auto here = places.here.find(vmid);
  if (here == places.here.end()) return NotFound("VM {} is not on this node any more", vmid);
  return here->second;
}

absl::StatusOr<std::string> VmChanges::Capture(const VmStep& step) {
  PHX_ASSIGN_OR_RETURN(const VmConfig vm, Read(step.vmid));
  return json{{"volumes", vm.PartsIn(step.after)}}.dump();
}

absl::Status VmChanges::Set(const VmStep& step, const Cicustom& from, const Cicustom& to,
                            const ChildObserver& on_child) {
  absl::Status last;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    PHX_ASSIGN_OR_RETURN(const VmConfig vm, Read(step.vmid));
    const Cicustom now = vm.PartsIn(to);
    if (now == to) return absl::OkStatus();
    if (now != from) {
      return Aborted("somebody else has given VM {} {} since; Phoenix leaves that alone", step.vmid,
                     Shown(now));
    }
    last = host_.SetCicustom(step.vmid, With(vm.cicustom, to), vm.digest, on_child);
    const bool again =
        last.code() == absl::StatusCode::kAborted || last.code() == absl::StatusCode::kUnavailable;
    if (again) continue;
    // Whatever the tool said, the file knows.
    PHX_ASSIGN_OR_RETURN(const VmConfig after, Read(step.vmid));
    if (after.PartsIn(to) == to) return absl::OkStatus();
    if (!last.ok()) return last;
    return FailedPrecondition("qm said that VM {} has {}, but its file does not say so", step.vmid,
                              Shown(to));
  }
  return last;
}

absl::Status VmChanges::Do(const VmStep& step, const std::string& captured, const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const Cicustom before, ParseCaptured(step, captured));
  // It may be captured only right before, where its storage comes with the same run.
  if (before != step.before) {
    return Aborted("VM {} had {} when this was planned, and has {} now; Phoenix leaves that alone", step.vmid,
                   Shown(step.before), Shown(before));
  }
  return Set(step, before, step.after, on_child);
}

absl::Status VmChanges::Undo(const VmStep& step, const std::string& captured, const ChildObserver& on_child) {
  PHX_ASSIGN_OR_RETURN(const Cicustom before, ParseCaptured(step, captured));
  return Set(step, step.after, before, on_child);
}

absl::StatusOr<kit::ProbeResult> VmChanges::Probe(const VmStep& step, const std::string& captured) {
  PHX_ASSIGN_OR_RETURN(const Cicustom before, ParseCaptured(step, captured));
  const auto vm = Read(step.vmid);
  if (vm.status().code() == absl::StatusCode::kNotFound)
    return kit::ProbeResult{kit::Probe::kForeign, Message(vm.status())};
  PHX_RETURN_IF_ERROR(vm.status());
  const Cicustom now = vm->PartsIn(step.after);
  if (now == step.after) return kit::ProbeResult{kit::Probe::kDone, ""};
  if (now == before) return kit::ProbeResult{kit::Probe::kNotDone, ""};
  return kit::ProbeResult{kit::Probe::kForeign, "it has " + Shown(now)};
}

std::vector<std::string> VmChanges::RemainingCommands(const VmStep& step, const std::string& captured) {
  const auto before = ParseCaptured(step, captured);
  const auto vm = Read(step.vmid);
  if (!before.ok() || !vm.ok() || vm->PartsIn(*before) == *before) return {};
  return {ToText(SetCicustomCommand(step.vmid, With(vm->cicustom, *before), ""))};
}

}  // namespace phoenix::proxmox

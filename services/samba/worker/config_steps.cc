#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/samba/worker/samba_domain.h"
#include "services/samba/worker/step_json.h"

namespace phoenix::samba {
namespace {

using Json = nlohmann::json;
using kit::Probe;
using kit::ProbeResult;

Json Parsed(const std::string& captured) {
  const Json json = Json::parse(captured, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json::object();
}

bool SameSection(const Section* now, const Section& other) { return now != nullptr && *now == other; }

// nullopt: there was none.
std::optional<Section> FormerSection(const std::string& captured) {
  const Json section = Parsed(captured).value("section", Json());
  if (!section.is_object()) return std::nullopt;
  return ToSection(section);
}

bool IsFormer(const Section* now, const std::optional<Section>& former) {
  return former ? SameSection(now, *former) : now == nullptr;
}

// For a dump: "" when the share is there as written.
std::string ShareDiffers(const ConfigDump& dump, const Section& section) {
  const auto share = dump.shares.find(ShareKey(section.name));
  if (share == dump.shares.end()) return fmt::format("the share [{}] is not there", section.name);
  const std::string difference = Difference(section.parameters, share->second.parameters, dump.globals);
  return difference.empty() ? "" : fmt::format("in [{}], {}", section.name, difference);
}

std::string ShareIsThere(const ConfigDump& dump, const std::string& name) {
  return dump.shares.count(ShareKey(name)) == 0 ? "" : fmt::format("the share [{}] is still there", name);
}

// Globals that our file no longer sets may have any value.
std::string GlobalsDiffer(const ConfigDump& dump, const Parameters& wanted) {
  for (const auto& [name, value] : wanted) {
    const auto found = dump.globals.find(name);
    const std::string there = found == dump.globals.end() ? "" : found->second;
    if (!SameValue(name, there, value))
      return fmt::format("'{}' is '{}' instead of '{}'", name, there, value);
  }
  return "";
}

// What the sealed store keeps while sessions have yet to end. Names of shares are no names of files.
std::string MarkOf(const std::string& share) {
  return "sessions-" + Sha256Hex(ShareKey(share)).substr(0, 16);
}

constexpr char kSessionsLeft[] = "sessions that it shuts out were not ended yet";

absl::Status ForeignChange(const std::string& object) {
  return Aborted("somebody else changed {} meanwhile; it is left as it is", object);
}

}  // namespace

absl::StatusOr<OwnFile> SambaDomain::ReadOwn() {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  if (!file) return NotFound("{} is not there", paths_.own_file);
  auto own = ParseOwnFile(file->content);
  if (!own.ok()) return Annotate(own.status(), paths_.own_file);
  return own;
}

absl::Status SambaDomain::CheckText(const std::string& text,
                                    const std::function<std::string(const ConfigDump&)>& differs) {
  PHX_ASSIGN_OR_RETURN(const auto checked, host_.CheckConfig(text));
  if (!checked.loads || !checked.problems.empty()) {
    // smb.conf may have problems of its own, which are not ours to judge.
    PHX_ASSIGN_OR_RETURN(const auto now, host_.ReadConfig());
    for (const std::string& problem : checked.problems) {
      if (std::count(now.problems.begin(), now.problems.end(), problem) > 0) continue;
      return FailedPrecondition("testparm refuses the new {}: {}", paths_.own_file, problem);
    }
    if (!checked.loads) return FailedPrecondition("testparm does not load the new {}", paths_.own_file);
  }
  const std::string difference = differs(checked.dump);
  if (!difference.empty())
    return FailedPrecondition("Samba would read {} otherwise: {}", paths_.own_file, difference);
  return absl::OkStatus();
}

absl::Status SambaDomain::ChangeOwn(const std::string& change, const ChildObserver& observer,
                                    const std::function<absl::Status(OwnFile&)>& edit,
                                    const std::function<std::string(const ConfigDump&)>& differs) {
  PHX_ASSIGN_OR_RETURN(const auto former, files_.Read(paths_.own_file));
  if (!former) return NotFound("{} is not there", paths_.own_file);
  auto own = ParseOwnFile(former->content);
  if (!own.ok() || Render(*own) != former->content) {
    return FailedPrecondition("{} was changed by hand: writing it anew would lose something",
                              paths_.own_file);
  }
  PHX_RETURN_IF_ERROR(edit(*own));
  FileState next = *former;
  next.content = Render(*own);
  PHX_RETURN_IF_ERROR(CheckText(next.content, differs));
  // Equal where a first try got this far: then the reload may be what is missing.
  if (next.content != former->content) PHX_RETURN_IF_ERROR(host_.PutFile(change, paths_.own_file, next));
  absl::Status status = host_.Reload(observer);
  if (status.ok()) {
    const auto live = host_.ReadConfig();
    status = live.status();
    if (live.ok()) {
      const std::string difference = differs(live->dump);
      if (!difference.empty()) status = Internal("Samba reads {} otherwise: {}", paths_.own_file, difference);
    }
  }
  if (status.ok() || next.content == former->content) return status;
  const absl::Status back = host_.PutFile("restore", paths_.own_file, *former);
  const absl::Status reloaded = host_.Reload(observer);
  if (back.ok() && reloaded.ok()) return Annotate(status, "put back, since after the change");
  return Annotate(status, "neither changed nor put back");
}

absl::Status SambaDomain::PutBack(const ChildObserver& observer,
                                  const std::function<absl::Status(OwnFile&)>& edit) {
  PHX_ASSIGN_OR_RETURN(const auto now, files_.Read(paths_.own_file));
  if (!now) return NotFound("{} is not there", paths_.own_file);
  auto own = ParseOwnFile(now->content);
  if (!own.ok() || Render(*own) != now->content) {
    return FailedPrecondition("{} was changed by hand: writing it anew would lose something",
                              paths_.own_file);
  }
  PHX_RETURN_IF_ERROR(edit(*own));
  FileState next = *now;
  next.content = Render(*own);
  if (next.content != now->content) PHX_RETURN_IF_ERROR(host_.PutFile("restore", paths_.own_file, next));
  return host_.Reload(observer);
}

absl::StatusOr<bool> SambaDomain::HasSessionsToEnd(const std::string& share, const Context& context) {
  PHX_ASSIGN_OR_RETURN(const auto mark, sealed_.Get(context.run_id, MarkOf(share), context.node_key));
  return mark.has_value();
}

absl::Status SambaDomain::ChangeAndEnd(const std::string& share, Cut cut, const Context& context,
                                       const std::function<absl::Status()>& change) {
  PHX_ASSIGN_OR_RETURN(const bool to_end, HasSessionsToEnd(share, context));
  PHX_ASSIGN_OR_RETURN(const auto former, files_.Read(paths_.own_file));
  if (cut != Cut::kNobody) {
    PHX_RETURN_IF_ERROR(sealed_.Put(context.run_id, MarkOf(share), context.node_key, Secret(ToText(cut))));
  }
  if (const absl::Status changed = change(); !changed.ok()) {
    // Refused, or put back: nobody is shut out by it, and an undo must not end what goes on.
    const auto now = files_.Read(paths_.own_file);
    const bool is_as_before = now.ok() && former && *now && (*now)->content == former->content;
    // What smbd goes by is known after a reload only.
    if (is_as_before && !to_end && host_.Reload(context.on_child).ok())
      sealed_.Remove(context.run_id, MarkOf(share)).IgnoreError();
    return changed;
  }
  PHX_RETURN_IF_ERROR(host_.EndSessions(share, cut, context.on_child));
  return sealed_.Remove(context.run_id, MarkOf(share));
}

// --- our file

absl::StatusOr<std::string> SambaDomain::CaptureOf(const MakeOwnFile&) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  return Json{{"present", file.has_value()}}.dump();
}

absl::Status SambaDomain::DoStep(const MakeOwnFile&, const Context&) {
  absl::MutexLock lock(&config_mutex_);
  const std::string text = Render(OwnFile());
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  if (file && file->content == text) return absl::OkStatus();
  if (file) return ForeignChange(paths_.own_file);
  return host_.PutFile("make-file", paths_.own_file, {text, 0, 0, 0644});
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const MakeOwnFile&, const Context&) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  if (!file) return ProbeResult{Probe::kNotDone, ""};
  // Later steps add shares to it.
  const auto own = ParseOwnFile(file->content);
  if (own.ok() && Render(*own) == file->content) return ProbeResult{Probe::kDone, ""};
  return ProbeResult{Probe::kForeign, paths_.own_file + " is not as Phoenix writes it"};
}

absl::Status SambaDomain::UndoStep(const MakeOwnFile&, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  if (Parsed(context.captured).value("present", false)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  if (!file) return absl::OkStatus();
  if (file->content != Render(OwnFile())) {
    return FailedPrecondition("{} holds shares or parameters that this run did not put there; it stays",
                              paths_.own_file);
  }
  return files_.Remove(paths_.own_file);
}

// --- the include line

absl::StatusOr<std::string> SambaDomain::CaptureOf(const IncludeOwnFile&) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.smb_conf));
  if (!file) return NotFound("{} is not there", paths_.smb_conf);
  return Json{{"digest", Sha256Hex(file->content)}, {"included", Includes(file->content, paths_.own_file)}}
      .dump();
}

absl::Status SambaDomain::DoStep(const IncludeOwnFile&, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  PHX_ASSIGN_OR_RETURN(auto file, files_.Read(paths_.smb_conf));
  if (!file) return NotFound("{} is not there", paths_.smb_conf);
  if (!Includes(file->content, paths_.own_file)) {
    PHX_ASSIGN_OR_RETURN(const auto own, ReadOwn());
    PHX_RETURN_IF_ERROR(CheckText(Render(own), [](const ConfigDump&) { return std::string(); }));
    file->content = AddInclude(file->content, paths_.own_file);
    PHX_RETURN_IF_ERROR(host_.PutFile("include", paths_.smb_conf, *file));
  }
  return host_.Reload(context.on_child);
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const IncludeOwnFile&, const Context&) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.smb_conf));
  const bool included = file && Includes(file->content, paths_.own_file);
  return ProbeResult{included ? Probe::kDone : Probe::kNotDone, ""};
}

absl::Status SambaDomain::UndoStep(const IncludeOwnFile&, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  if (Parsed(context.captured).value("included", false)) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(auto file, files_.Read(paths_.smb_conf));
  if (!file || !Includes(file->content, paths_.own_file)) return absl::OkStatus();
  // Where nobody else wrote to the file this gives the former bytes; otherwise others' changes stay.
  file->content = RemoveInclude(file->content, paths_.own_file);
  PHX_RETURN_IF_ERROR(host_.PutFile("restore", paths_.smb_conf, *file));
  return host_.Reload(context.on_child);
}

// --- [global] of our file

absl::StatusOr<std::string> SambaDomain::CaptureOf(const SetGlobals&) {
  PHX_ASSIGN_OR_RETURN(const OwnFile own, ReadOwn());
  return Json{{"parameters", own.globals}}.dump();
}

absl::Status SambaDomain::DoStep(const SetGlobals& step, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  const auto former = Parsed(context.captured).value("parameters", Parameters());
  return ChangeOwn(
      "set-globals", context.on_child,
      [&](OwnFile& own) -> absl::Status {
        if (own.globals != former && own.globals != step.parameters)
          return ForeignChange("[global] of " + paths_.own_file);
        own.globals = step.parameters;
        return absl::OkStatus();
      },
      [&](const ConfigDump& dump) { return GlobalsDiffer(dump, step.parameters); });
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const SetGlobals& step, const Context& context) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  const auto former = Parsed(context.captured).value("parameters", Parameters());
  const auto own = file ? ParseOwnFile(file->content) : absl::StatusOr<OwnFile>(OwnFile());
  if (!own.ok()) return ProbeResult{Probe::kForeign, Message(own.status())};
  if (own->globals == former) return ProbeResult{Probe::kNotDone, ""};
  if (own->globals != step.parameters) return ProbeResult{Probe::kForeign, "[global] has other parameters"};
  PHX_ASSIGN_OR_RETURN(const auto live, host_.ReadConfig());
  const std::string difference = GlobalsDiffer(live.dump, step.parameters);
  return ProbeResult{difference.empty() ? Probe::kDone : Probe::kPartial, difference};
}

absl::Status SambaDomain::UndoStep(const SetGlobals& step, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  const auto former = Parsed(context.captured).value("parameters", Parameters());
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  if (!file && former.empty()) return absl::OkStatus();
  return PutBack(context.on_child, [&](OwnFile& own) -> absl::Status {
    if (own.globals != former && own.globals != step.parameters)
      return ForeignChange("[global] of " + paths_.own_file);
    own.globals = former;
    return absl::OkStatus();
  });
}

// --- shares

absl::StatusOr<std::string> SambaDomain::CaptureShare(const std::string& name) {
  PHX_ASSIGN_OR_RETURN(const OwnFile own, ReadOwn());
  const Section* section = own.Find(name);
  return Json{{"section", section == nullptr ? Json() : ToJson(*section)}}.dump();
}

absl::StatusOr<std::string> SambaDomain::CaptureOf(const SetShare& step) {
  return CaptureShare(step.section.name);
}
absl::StatusOr<std::string> SambaDomain::CaptureOf(const RemoveShare& step) {
  return CaptureShare(step.name);
}

absl::Status SambaDomain::DoStep(const SetShare& step, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  const auto former = FormerSection(context.captured);
  const std::string& name = step.section.name;
  PHX_ASSIGN_OR_RETURN(const OwnFile there, ReadOwn());
  PHX_ASSIGN_OR_RETURN(const bool to_end, HasSessionsToEnd(name, context));
  // Once done, those who came in since are not cut off again.
  const Cut cut = SameSection(there.Find(name), step.section) && !to_end ? Cut::kNobody : step.ends;
  return ChangeAndEnd(name, cut, context, [&] {
    config_mutex_.AssertHeld();
    return ChangeOwn(
        "set-share:" + name, context.on_child,
        [&](OwnFile& own) -> absl::Status {
          const Section* now = own.Find(name);
          if (!IsFormer(now, former) && !SameSection(now, step.section))
            return ForeignChange("the share " + name);
          own.Put(step.section);
          return absl::OkStatus();
        },
        [&](const ConfigDump& dump) { return ShareDiffers(dump, step.section); });
  });
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const SetShare& step, const Context& context) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  const auto own = file ? ParseOwnFile(file->content) : absl::StatusOr<OwnFile>(OwnFile());
  if (!own.ok()) return ProbeResult{Probe::kForeign, Message(own.status())};
  const Section* now = own->Find(step.section.name);
  PHX_ASSIGN_OR_RETURN(const bool to_end, HasSessionsToEnd(step.section.name, context));
  if (IsFormer(now, FormerSection(context.captured))) {
    if (to_end) return ProbeResult{Probe::kPartial, kSessionsLeft};
    return ProbeResult{Probe::kNotDone, ""};
  }
  if (!SameSection(now, step.section)) {
    return ProbeResult{Probe::kForeign, fmt::format("the share [{}] is {}", step.section.name,
                                                    now == nullptr ? "gone" : "another")};
  }
  PHX_ASSIGN_OR_RETURN(const auto live, host_.ReadConfig());
  const std::string difference = ShareDiffers(live.dump, step.section);
  if (difference.empty() && to_end) return ProbeResult{Probe::kPartial, kSessionsLeft};
  return ProbeResult{difference.empty() ? Probe::kDone : Probe::kPartial, difference};
}

absl::Status SambaDomain::UndoStep(const SetShare& step, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  const auto former = FormerSection(context.captured);
  const std::string& name = step.section.name;
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(paths_.own_file));
  if (!file && !former) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const OwnFile there, ReadOwn());
  PHX_ASSIGN_OR_RETURN(const bool to_end, HasSessionsToEnd(name, context));
  // What the step had given is taken away again, from those who came in by it.
  const bool is_back = IsFormer(there.Find(name), former) && !to_end;
  const Cut cut = is_back ? Cut::kNobody : SessionsToEnd(&step.section, former ? &*former : nullptr);
  return ChangeAndEnd(name, cut, context, [&] {
    config_mutex_.AssertHeld();
    return PutBack(context.on_child, [&](OwnFile& own) -> absl::Status {
      const Section* now = own.Find(name);
      if (!IsFormer(now, former) && !SameSection(now, step.section))
        return ForeignChange("the share " + name);
      own.Remove(name);
      if (former) own.Put(*former);
      return absl::OkStatus();
    });
  });
}

absl::Status SambaDomain::DoStep(const RemoveShare& step, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  const auto former = FormerSection(context.captured);
  return ChangeAndEnd(step.name, Cut::kEverybody, context, [&] {
    config_mutex_.AssertHeld();
    return ChangeOwn(
        "remove-share:" + step.name, context.on_child,
        [&](OwnFile& own) -> absl::Status {
          const Section* now = own.Find(step.name);
          if (now != nullptr && !IsFormer(now, former)) return ForeignChange("the share " + step.name);
          own.Remove(step.name);
          return absl::OkStatus();
        },
        [&](const ConfigDump& dump) { return ShareIsThere(dump, step.name); });
  });
}

absl::StatusOr<kit::ProbeResult> SambaDomain::ProbeOf(const RemoveShare& step, const Context& context) {
  PHX_ASSIGN_OR_RETURN(const OwnFile own, ReadOwn());
  const Section* now = own.Find(step.name);
  if (now == nullptr) {
    PHX_ASSIGN_OR_RETURN(const auto live, host_.ReadConfig());
    const std::string difference = ShareIsThere(live.dump, step.name);
    PHX_ASSIGN_OR_RETURN(const bool to_end, HasSessionsToEnd(step.name, context));
    if (difference.empty() && to_end) return ProbeResult{Probe::kPartial, kSessionsLeft};
    return ProbeResult{difference.empty() ? Probe::kDone : Probe::kPartial, difference};
  }
  const bool former = IsFormer(now, FormerSection(context.captured));
  return ProbeResult{former ? Probe::kNotDone : Probe::kForeign, former ? "" : "the share is another"};
}

absl::Status SambaDomain::UndoStep(const RemoveShare& step, const Context& context) {
  absl::MutexLock lock(&config_mutex_);
  const auto former = FormerSection(context.captured);
  if (!former) return absl::OkStatus();
  return ChangeAndEnd(step.name, Cut::kNobody, context, [&] {
    config_mutex_.AssertHeld();
    return PutBack(context.on_child, [&](OwnFile& own) -> absl::Status {
      const Section* now = own.Find(step.name);
      if (now != nullptr && !SameSection(now, *former)) return ForeignChange("the share " + step.name);
      own.Put(*former);
      return absl::OkStatus();
    });
  });
}

}  // namespace phoenix::samba

// The ARC's limit: now, and after a reboot.
#include <algorithm>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"

namespace phoenix::zfs {

std::string ArcFileContent(uint64_t bytes) {
  return fmt::format(
      "# The ARC's upper limit, as declared to Phoenix. Changes made here are overwritten.\n"
      "options zfs zfs_arc_max={}\n",
      bytes);
}

void PlanArc(Planning& planning) {
  if (!planning.spec.arc_max_bytes) return;
  const uint64_t wanted = *planning.spec.arc_max_bytes;
  const ArcState& arc = planning.seen.arc;
  const std::string place =
      planning.spec.arc_max_origin.empty() ? "zfs.arc_max" : planning.spec.arc_max_origin;
  if (wanted < kLeastArcBytes) {
    planning.Violate(place, "{} bytes are less than the 64 MiB that ZFS honours", wanted);
    return;
  }
  if (arc.memory_bytes != 0 && wanted >= arc.memory_bytes) {
    planning.Refuse(place,
                    "{} bytes are not less than this node's memory of {} bytes; ZFS would ignore the limit",
                    wanted, arc.memory_bytes);
    return;
  }
  for (const auto& [path, value] : arc.elsewhere) {
    if (value == std::to_string(wanted) || LastOf(path) < LastOf(kArcFile)) continue;
    planning.Warn("arc", "{} also sets zfs_arc_max, to {}, and is read after {}: after a reboot it decides",
                  path, value, kArcFile);
  }
  const std::string content = ArcFileContent(wanted);
  const bool file_is_right = arc.file && arc.file->content == content;
  const bool in_force = arc.in_force == 0 || arc.in_force == wanted;
  const bool live_is_right = !arc.live || (*arc.live == wanted && in_force);
  const bool initramfs_is_right =
      !arc.root_on_zfs || !arc.updates_initramfs || (file_is_right && !arc.initramfs_is_older);
  if (file_is_right && live_is_right && initramfs_is_right) return;
  PlannedStep planned{.id = "arc:limit", .resource = "ARC", .action = "limit the ARC"};
  SetArcLimitStep step{.bytes = wanted, .initramfs = !initramfs_is_right};
  if (!live_is_right) {
    planned.differences.push_back({"zfs_arc_max now", std::to_string(*arc.live), std::to_string(wanted)});
    if (*arc.live == wanted) planned.differences.back().before += " (ignored)";
    if (wanted <= arc.min_in_force) {
      // As ZFS itself chooses it where the limit is set when the module is loaded.
      step.min_bytes = std::max(wanted / 2, kLeastArcMinBytes);
      planned.differences.push_back(
          {"zfs_arc_min now", std::to_string(arc.min_in_force), std::to_string(step.min_bytes)});
    }
  }
  if (!file_is_right) {
    planned.differences.push_back({std::string(kArcFile), arc.file ? "other content" : "absent",
                                   fmt::format("options zfs zfs_arc_max={}", wanted)});
  }
  planned.undo = "the file and the running values are put back";
  if (step.initramfs) {
    planned.differences.push_back({"initramfs", "without this limit", "made again"});
    planned.undo += ", and the initramfs is made again";
  } else if (arc.root_on_zfs && !file_is_right) {
    planning.Warn("arc",
                  "the root file system is ZFS, and this node has no update-initramfs: make its initramfs "
                  "again for the limit to hold from boot on");
  }
  planned.provides.push_back("arc:limit");
  planned.step = step;
  planning.plan.steps.push_back(std::move(planned));
}

}  // namespace phoenix::zfs

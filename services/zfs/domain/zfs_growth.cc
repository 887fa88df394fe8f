#include "services/zfs/domain/zfs_growth.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/status/status_macros.h"

namespace phoenix::zfs {
namespace {

std::vector<std::string> Without(const std::vector<std::string>& some,
                                 const std::vector<std::string>& others) {
  std::vector<std::string> left;
  for (const auto& one : some) {
    if (std::find(others.begin(), others.end(), one) == others.end()) left.push_back(one);
  }
  return left;
}

// Names of a member that lead to no device: a GUID, or the link that was in its label.
bool IsGone(const std::string& member) {
  return !member.starts_with("/dev/") || member.starts_with("/dev/disk/");
}

// udev has two links by model and serial for an NVMe namespace: nvme-MODEL_SERIAL and nvme-MODEL_SERIAL_1.
std::string WithoutNamespace(const std::string& link) {
  const size_t end = link.find_last_not_of("0123456789");
  return end != std::string::npos && end + 1 < link.size() && link[end] == '_' ? link.substr(0, end) : link;
}

// Other links of one folder that name a disk by model and serial differ only where the disks do; a disk has
// others by a number, and in other folders.
bool MayBeOneDisk(const std::string& a, const std::string& b) {
  const auto kind = [](const std::string& link) {
    const size_t slash = link.rfind('/');
    const std::string name = link.substr(slash + 1);
    for (const std::string_view number : {"wwn-", "nvme-eui.", "nvme-nvme.", "scsi-3"}) {
      if (name.starts_with(number)) return link.substr(0, slash) + " number";
    }
    return link.substr(0, slash);
  };
  return !a.starts_with("/dev/") || !b.starts_with("/dev/") || kind(a) != kind(b) ||
         WithoutNamespace(a) == b || WithoutNamespace(b) == a;
}

bool Replaceable(const VdevGroup& vdev) {
  return vdev.vdev_class != VdevClass::kCache && vdev.vdev_class != VdevClass::kSpare;
}

class Comparison {
 public:
  Comparison(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen) {
    std::set<VdevClass> declared = {VdevClass::kData};
    for (const auto& vdev : wanted) declared.insert(vdev.vdev_class);
    for (const auto& vdev : seen) {
      if (declared.count(vdev.vdev_class) == 0) {
        result_.undeclared.push_back(vdev);
      } else {
        seen_.push_back(&vdev);
      }
    }
    for (const auto& vdev : wanted) {
      wanted_.push_back(&vdev);
      for (const auto& other : seen) {
        if (other.vdev_class == vdev.vdev_class ||
            Without(vdev.disks, other.disks).size() == vdev.disks.size())
          continue;
        result_.problem = fmt::format("{} is there as {}, declared as {}", ToText({vdev}), ToText({other}),
                                      ToString(vdev.vdev_class));
      }
    }
  }

  LayoutChanges Compare() {
    if (!result_.problem.empty()) return std::move(result_);
    for (auto& vdev : wanted_) {
      const VdevGroup* counterpart = TakeCounterpart(*vdev);
      if (!result_.problem.empty()) return std::move(result_);
      if (counterpart == nullptr) continue;
      Change(*vdev, *counterpart);
      if (!result_.problem.empty()) return std::move(result_);
      vdev = nullptr;
    }
    std::erase(wanted_, nullptr);
    // A disk that is a vdev by itself shares nothing with the one that it is replaced by.
    for (auto& vdev : wanted_) {
      const VdevGroup* left = OnlyOneLeft(*vdev);
      if (left == nullptr) continue;
      result_.changes.push_back(
          {.kind = LayoutChange::Kind::kReplaceDisk, .existing = left->disks[0], .disk = vdev->disks[0]});
      std::erase(seen_, left);
      vdev = nullptr;
    }
    std::erase(wanted_, nullptr);
    if (!seen_.empty()) {
      std::vector<VdevGroup> left;
      for (const VdevGroup* vdev : seen_) left.push_back(*vdev);
      result_.problem = fmt::format("it has {} besides, and nothing is taken out of a pool", ToText(left));
    }
    for (const VdevGroup* vdev : wanted_)
      result_.changes.push_back(
          {.kind = LayoutChange::Kind::kAddVdev, .vdev = *vdev, .existing = {}, .disk = {}});
    return std::move(result_);
  }

 private:
  // The vdev that has disks of `vdev`; null where none has.
  const VdevGroup* TakeCounterpart(const VdevGroup& vdev) {
    const VdevGroup* found = nullptr;
    for (const VdevGroup* one : seen_) {
      if (Without(one->disks, vdev.disks).size() == one->disks.size()) continue;
      if (one->vdev_class != vdev.vdev_class) continue;
      if (found != nullptr) {
        result_.problem =
            fmt::format("{} and {} are two vdevs there, declared as one", ToText({*found}), ToText({*one}));
      }
      found = one;
    }
    if (found != nullptr) std::erase(seen_, found);
    return found;
  }

  void Change(const VdevGroup& wanted, const VdevGroup& seen) {
    const auto fresh = Without(wanted.disks, seen.disks), missing = Without(seen.disks, wanted.disks);
    const bool becomes_mirror = wanted.kind == "mirror" && (seen.kind == "mirror" || seen.kind == "disk");
    if (missing.empty() && becomes_mirror) {
      for (const auto& disk : fresh) {
        result_.changes.push_back({LayoutChange::Kind::kAttachDisk, {}, seen.disks[0], disk});
      }
    } else if (wanted.kind != seen.kind) {
      result_.problem = fmt::format("{} cannot become {}", ToText({seen}), ToText({wanted}));
    } else if (fresh.size() == 1 && missing.size() == 1 && Replaceable(wanted)) {
      result_.changes.push_back({LayoutChange::Kind::kReplaceDisk, {}, missing[0], fresh[0]});
    } else if (fresh.size() == missing.size() && !fresh.empty()) {
      result_.problem = fmt::format(
          "{} and {} differ in {} disks; one is replaced at a time, so that it is clear which by which",
          ToText({seen}), ToText({wanted}), fresh.size());
    } else if (!fresh.empty() || !missing.empty()) {
      result_.problem = fmt::format("{} has other disks than {}", ToText({seen}), ToText({wanted}));
    }
  }

  const VdevGroup* OnlyOneLeft(const VdevGroup& vdev) const {
    const auto alike = [&](const VdevGroup* one) {
      return one != nullptr && one->vdev_class == vdev.vdev_class && one->kind == "disk";
    };
    if (vdev.kind != "disk" || !Replaceable(vdev) ||
        std::count_if(wanted_.begin(), wanted_.end(), alike) != 1 ||
        std::count_if(seen_.begin(), seen_.end(), alike) != 1) {
      return nullptr;
    }
    return *std::find_if(seen_.begin(), seen_.end(), alike);
  }

  LayoutChanges result_;
  std::vector<const VdevGroup*> wanted_, seen_;
};

}  // namespace

absl::StatusOr<std::vector<VdevGroup>> DeclaredLayout(const PoolSpec& pool) {
  std::vector<VdevGroup> layout;
  if (!pool.disks.empty()) {
    PHX_ASSIGN_OR_RETURN(layout, LayoutOf(pool.raid_level, pool.disks));
  }
  for (const VdevSpec& vdev : pool.vdevs) {
    PHX_ASSIGN_OR_RETURN(auto more, LayoutOf(vdev.vdev_class, vdev.raid_level, vdev.disks));
    layout.insert(layout.end(), more.begin(), more.end());
  }
  return layout;
}

std::vector<std::pair<std::string, std::string>> DeclaredDisks(const PoolSpec& pool) {
  std::vector<std::pair<std::string, std::string>> disks;
  for (size_t i = 0; i < pool.disks.size(); ++i)
    disks.emplace_back(fmt::format("disks[{}]", i), pool.disks[i]);
  for (size_t v = 0; v < pool.vdevs.size(); ++v) {
    for (size_t i = 0; i < pool.vdevs[v].disks.size(); ++i)
      disks.emplace_back(fmt::format("vdevs[{}].disks[{}]", v, i), pool.vdevs[v].disks[i]);
  }
  return disks;
}

std::string FieldOf(const PoolSpec& pool, const std::string& disk) {
  for (auto& [field, path] : DeclaredDisks(pool)) {
    if (path == disk) return field;
  }
  return "disks";
}

NamedLayout AsDeclared(const PoolSpec& pool, const PoolState& seen,
                       const std::map<std::string, DiskState, std::less<>>& disks) {
  NamedLayout named{.vdevs = seen.layout, .members = {}, .absent = {}};
  const auto is_member = [&](const std::string& name) {
    return seen.members.count(name) != 0 ||
           std::any_of(seen.layout.begin(), seen.layout.end(), [&](const VdevGroup& vdev) {
             return std::find(vdev.disks.begin(), vdev.disks.end(), name) != vdev.disks.end();
           });
  };
  const auto rename = [&](const std::string& member, const std::string& path) {
    for (auto& vdev : named.vdevs) std::replace(vdev.disks.begin(), vdev.disks.end(), member, path);
    named.members[path] = member;
  };
  for (const auto& [field, path] : DeclaredDisks(pool)) {
    const auto disk = disks.find(path);
    const std::string& member = disk == disks.end() ? path : disk->second.device_path;
    if (is_member(member)) {
      rename(member, path);
    } else if (disk == disks.end()) {
      named.absent.push_back(path);
    }
  }
  // The rest of those that are gone, under other names.
  const auto layout = DeclaredLayout(pool);
  if (!layout.ok()) return named;
  for (const VdevClass vdev_class : {VdevClass::kData, VdevClass::kSpecial, VdevClass::kDedup,
                                     VdevClass::kLog, VdevClass::kCache, VdevClass::kSpare}) {
    std::vector<std::string> gone, absent;
    for (const auto& vdev : named.vdevs) {
      for (const auto& disk : vdev.disks) {
        if (vdev.vdev_class == vdev_class && IsGone(disk) && named.members.count(disk) == 0)
          gone.push_back(disk);
      }
    }
    for (const auto& vdev : *layout) {
      for (const auto& disk : vdev.disks) {
        const bool is_absent =
            std::find(named.absent.begin(), named.absent.end(), disk) != named.absent.end();
        if (vdev.vdev_class == vdev_class && is_absent) absent.push_back(disk);
      }
    }
    if (gone.size() != 1 || absent.size() != 1 || !MayBeOneDisk(gone[0], absent[0])) continue;
    rename(gone[0], absent[0]);
    std::erase(named.absent, absent[0]);
  }
  return named;
}

LayoutChanges ChangesTo(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen) {
  return Comparison(wanted, seen).Compare();
}

}  // namespace phoenix::zfs

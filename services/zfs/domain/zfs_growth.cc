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

LayoutChanges ChangesTo(const std::vector<VdevGroup>& wanted, const std::vector<VdevGroup>& seen) {
  return Comparison(wanted, seen).Compare();
}

}  // namespace phoenix::zfs

#include "services/zfs/domain/zfs_checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix::zfs {
namespace {

// The dataset that a step changes; "" where it changes none that is there.
struct Touched {
  std::string operator()(const SetPropertiesStep& step) const { return step.name; }
  std::string operator()(const MountStep& step) const { return step.name; }
  std::string operator()(const SetMountRootStep& step) const { return step.name; }
  std::string operator()(const DeleteDatasetStep& step) const { return step.name; }
  // What a pool's steps and those of new things do cannot be taken back by a snapshot; what changes content
  // takes its own.
  template <class Step>
  std::string operator()(const Step&) const {
    return "";
  }
};

// Where a step mounts a dataset; "" where it mounts none.
struct MountedBy {
  std::string operator()(const CreatePoolStep& step) const { return step.mountpoint; }
  std::string operator()(const CreateDatasetStep& step) const { return step.mountpoint; }
  std::string operator()(const MountStep& step) const { return step.mountpoint; }
  std::string operator()(const SetPropertiesStep& step) const {
    const auto place = step.properties.find("mountpoint");
    return place == step.properties.end() ? "" : place->second;
  }
  template <class Step>
  std::string operator()(const Step&) const {
    return "";
  }
};

// The datasets that hold `path`. What a step mounts on the way is either new, so that nothing of it can be
// lost, or changed by that very step.
std::vector<std::string> HoldersOf(const std::string& path, const std::vector<ZfsStep>& steps,
                                   const ZfsState& seen) {
  std::vector<std::string> holders;
  for (std::string place = path;; place = DirectoryOf(place)) {
    for (const ZfsStep& step : steps) {
      if (std::visit(MountedBy(), step) == place) return holders;
      // What was there before is only locked: it may be written into as soon as it is mounted.
      const auto* load = std::get_if<LoadKeyStep>(&step);
      if (load == nullptr) continue;
      for (const auto& mount : load->mounts) {
        if (mount.at == place) holders.push_back(mount.name);
      }
    }
    // Of two that are mounted over each other it cannot be told here which one is seen.
    for (const auto& [name, dataset] : seen.datasets) {
      if (dataset.mounted_at == place) holders.push_back(name);
    }
    if (!holders.empty() || seen.mount_points.contains(place) || place == "/") return holders;
  }
}

uint64_t Number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

bool IsKept(std::string_view name) { return IsBelow(DatasetOf(name), PoolOf(name) + "/.phoenix/kept"); }

std::string Days(int64_t seconds) { return fmt::format("{:.1f} days", static_cast<double>(seconds) / 86400); }

// A checkpoint, or a dataset in the trash, of a run that is closed.
struct Leftover {
  std::string name;
  std::string run;
  int64_t since_seconds = 0;
  uint64_t bytes = 0;  // that only it holds
  std::string due;     // why it has to go; "" while it may stay
};

class Selection {
 public:
  Selection(const ZfsState& seen, const Retention& retention, int64_t now)
      : seen_(seen), retention_(retention), now_(now) {
    for (const auto& [name, snapshot] : seen.snapshots) snapshots_of_[DatasetOf(name)].push_back(&snapshot);
  }

  Reaping Reap() {
    Collect();
    for (auto* some : {&checkpoints_, &trash_}) {
      for (Leftover& one : *some) {
        if (now_ - one.since_seconds > retention_.seconds)
          one.due = "it is older than " + Days(retention_.seconds);
      }
    }
    for (Leftover& one : trash_) {
      if (IsDiscarded(one.name)) one.due = "it was kept, and somebody discarded it";
    }
    LimitRuns();
    for (const auto& [name, dataset] : seen_.datasets) LimitQuota(name, dataset);
    for (const auto& [name, pool] : seen_.pools) LimitPool(pool);
    for (const Leftover& one : checkpoints_) {
      if (!one.due.empty()) Snapshot(one.name, one.due);
    }
    for (const Leftover& one : trash_) {
      if (!one.due.empty()) Dataset(one.name, one.due);
    }
    return std::move(result_);
  }

 private:
  static bool Older(const Leftover* a, const Leftover* b) {
    return a->since_seconds != b->since_seconds ? a->since_seconds < b->since_seconds : a->name < b->name;
  }

  void Collect() {
    for (const auto& [name, snapshot] : seen_.snapshots) {
      if (IsKept(name)) continue;
      const std::string run = RunOfCheckpoint(name);
      if (!run.empty() && snapshot.run == run) {
        if (IsHeldBy(snapshot, HoldOf(run))) {
          NoteOldHold(snapshot, run);
          continue;
        }
        checkpoints_.push_back({name, run, snapshot.creation_seconds, snapshot.used_bytes, ""});
      } else if (!RunOfTrashedSnapshot(name).empty() && snapshot.committed_seconds != 0) {
        // It was to be destroyed at once and could not be.
        Snapshot(name, "its run deleted it");
      }
    }
    for (const auto& [name, dataset] : seen_.datasets) {
      const std::string committed = dataset.LocalValue(kCommittedMark);
      const std::string run = dataset.LocalValue(kTrashMark);
      if (committed.empty() || run.empty() || !IsBelow(name, TrashOf(name, run)) || !IsAside(name, "trash")) {
        continue;
      }
      trash_.push_back(
          {name, run, static_cast<int64_t>(Number(committed)), Number(dataset.Value("used")), ""});
    }
    // What goes with the dataset that it is in needs no retention of its own.
    std::erase_if(checkpoints_, [&](const Leftover& one) {
      return std::any_of(trash_.begin(), trash_.end(),
                         [&](const Leftover& dataset) { return dataset.name == DatasetOf(one.name); });
    });
  }

  static bool IsHeldBy(const SnapshotState& snapshot, const std::string& tag) {
    return std::find(snapshot.tags.begin(), snapshot.tags.end(), tag) != snapshot.tags.end();
  }

  // A run holds its checkpoints until it is closed; one that never is, because its record was lost or its
  // pool was away, must not hold them without a word.
  void NoteOldHold(const SnapshotState& snapshot, const std::string& run) {
    const int64_t age = now_ - snapshot.creation_seconds;
    if (age <= retention_.seconds) return;
    result_.left.push_back(
        {snapshot.name, fmt::format("run {} has held it for {}; if that run is over, let it go: "
                                    "zfs release {} {}",
                                    run, Days(age), HoldOf(run), snapshot.name)});
  }

  void LimitRuns() {
    std::map<std::string, int64_t> newest;
    for (const Leftover& one : checkpoints_) {
      auto& since = newest[one.run];
      since = std::max(since, one.since_seconds);
    }
    std::vector<std::pair<int64_t, std::string>> runs;
    runs.reserve(newest.size());
    for (const auto& [run, since] : newest) runs.emplace_back(since, run);
    std::sort(runs.rbegin(), runs.rend());
    std::set<std::string> old;
    for (size_t i = static_cast<size_t>(std::max(retention_.runs, 0)); i < runs.size(); ++i)
      old.insert(runs[i].second);
    for (Leftover& one : checkpoints_) {
      if (one.due.empty() && old.count(one.run) != 0)
        one.due = fmt::format("the newest {} runs are kept", retention_.runs);
    }
  }

  // What all its snapshots hold together is more than the sum of what each holds alone; it can be told only
  // where all of them are ours.
  uint64_t HeldIn(const std::string& dataset, const std::vector<Leftover*>& of) const {
    uint64_t sum = 0;
    size_t ours = 0;
    for (const Leftover* one : of) {
      if (DatasetOf(one->name) != dataset) continue;
      sum += one->bytes;
      ++ours;
    }
    const auto all = snapshots_of_.find(dataset);
    const auto state = seen_.datasets.find(dataset);
    if (ours == 0 || state == seen_.datasets.end() || all == snapshots_of_.end() ||
        all->second.size() != ours) {
      return sum;
    }
    return std::max(sum, Number(state->second.Value("usedbysnapshots")));
  }

  void LimitQuota(const std::string& name, const DatasetState& dataset) {
    const uint64_t quota = Number(dataset.Value("quota"));
    if (quota == 0) return;
    std::vector<Leftover*> counted;
    std::set<std::string> datasets;
    for (Leftover& one : checkpoints_) {
      if (!IsBelow(DatasetOf(one.name), name)) continue;
      counted.push_back(&one);
      datasets.insert(DatasetOf(one.name));
    }
    uint64_t held = 0;
    for (const auto& each : datasets) held += HeldIn(each, counted);
    const uint64_t allowed = quota / 100 * static_cast<uint64_t>(std::max(retention_.quota_percent, 0));
    Shrink(counted, held, allowed,
           fmt::format("checkpoints hold more than {} % of the quota of {}", retention_.quota_percent, name));
  }

  void LimitPool(const PoolState& pool) {
    const auto freeing = pool.properties.find("freeing");
    const uint64_t on_its_way = freeing == pool.properties.end() ? 0 : Number(freeing->second.value);
    const uint64_t taken = pool.size_bytes - std::min(pool.size_bytes, pool.free_bytes);
    std::vector<Leftover*> counted;
    for (auto* some : {&checkpoints_, &trash_}) {
      for (Leftover& one : *some) {
        if (PoolOf(one.name) == pool.name) counted.push_back(&one);
      }
    }
    const uint64_t allowed =
        pool.size_bytes / 100 * static_cast<uint64_t>(std::max(retention_.pool_percent, 0));
    Shrink(counted, taken - std::min(taken, on_its_way), allowed,
           fmt::format("pool {} is more than {} % full", pool.name, retention_.pool_percent));
  }

  // Makes the oldest due until no more than `allowed` is held.
  static void Shrink(std::vector<Leftover*> counted, uint64_t held, uint64_t allowed,
                     const std::string& why) {
    std::sort(counted.begin(), counted.end(), Older);
    for (const Leftover* one : counted) {
      if (!one->due.empty()) held -= std::min(held, one->bytes);
    }
    for (Leftover* one : counted) {
      if (held <= allowed) return;
      if (!one->due.empty()) continue;
      one->due = why;
      held -= std::min(held, one->bytes);
    }
  }

  static std::string Obstacle(const SnapshotState& snapshot) {
    if (snapshot.holds != 0) {
      return snapshot.tags.empty() ? "somebody holds it"
                                   : fmt::format("it is held by {}", fmt::join(snapshot.tags, ", "));
    }
    return snapshot.clones.empty() ? "" : "it was cloned to " + snapshot.clones[0];
  }

  void Snapshot(const std::string& name, const std::string& why) {
    const std::string obstacle = Obstacle(seen_.snapshots.find(name)->second);
    if (obstacle.empty()) {
      result_.reap.push_back({name, why});
    } else {
      result_.left.push_back({name, fmt::format("{}, but {}", why, obstacle)});
    }
  }

  void Dataset(const std::string& name, const std::string& why) {
    const auto leave = [&](const std::string& obstacle) {
      result_.left.push_back({name, fmt::format("{}, but {}", why, obstacle)});
    };
    if (!seen_.datasets.find(name)->second.mounted_at.empty()) return leave("somebody mounted it");
    const auto below = seen_.datasets.upper_bound(name + "/");
    if (below != seen_.datasets.end() && IsBelow(below->first, name))
      return leave("it holds dataset " + below->first);
    std::vector<zfs::Reap> ours;
    const auto snapshots = snapshots_of_.find(name);
    if (snapshots != snapshots_of_.end()) {
      for (const SnapshotState* snapshot : snapshots->second) {
        const std::string run = RunOfCheckpoint(snapshot->name);
        // What others made goes only when they take it away.
        if (run.empty() || snapshot->run != run) return leave("it has snapshot " + snapshot->name);
        if (const std::string obstacle = Obstacle(*snapshot); !obstacle.empty())
          return leave(fmt::format("of its snapshot {}, {}", snapshot->name, obstacle));
        ours.push_back({snapshot->name, why});
      }
    }
    result_.reap.insert(result_.reap.end(), ours.begin(), ours.end());
    result_.reap.push_back({name, why});
  }

  const ZfsState& seen_;
  const Retention& retention_;
  const int64_t now_;
  std::map<std::string, std::vector<const SnapshotState*>, std::less<>> snapshots_of_;
  std::vector<Leftover> checkpoints_, trash_;
  Reaping result_;
};

}  // namespace

std::vector<std::string> DatasetsToCheckpoint(const Touching& touching, const ZfsState& seen) {
  std::set<std::string> touched;
  for (const ZfsStep& step : touching.steps) touched.insert(std::visit(Touched(), step));
  for (const std::string& path : touching.written) {
    const auto holders = HoldersOf(path, touching.steps, seen);
    touched.insert(holders.begin(), holders.end());
  }
  // Such a step takes its own snapshots, and one that is newer than those keeps them from being rolled back
  // to: that of a run that takes the step back long after its commit, too.
  for (const ZfsStep& step : touching.steps) {
    if (const auto* content = std::get_if<ChangeContentStep>(&step)) touched.erase(content->name);
  }
  std::vector<std::string> names;
  for (const std::string& name : touched) {
    const auto dataset = seen.datasets.find(name);
    if (dataset == seen.datasets.end() || dataset->second.type != "filesystem" || IsGuestVolume(name))
      continue;
    names.push_back(name);
  }
  return names;
}

Reaping WhatToReap(const ZfsState& seen, const Retention& retention, int64_t now_seconds) {
  return Selection(seen, retention, now_seconds).Reap();
}

}  // namespace phoenix::zfs

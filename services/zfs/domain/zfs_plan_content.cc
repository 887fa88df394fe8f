// What changes in a dataset's content: owners of everything in it, and files that are delivered.
#include <algorithm>
#include <set>

#include "base/digest/digest.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/domain/zfs_planning.h"

namespace phoenix::zfs {
namespace {

// Enough to tell two contents apart; the content itself is shown nowhere.
std::string ContentText(uint64_t size, std::string_view digest) {
  if (digest.empty()) return fmt::format("{} bytes", size);
  return fmt::format("{} bytes, sha256 {}", size, digest.substr(0, 12));
}

class ContentPlanner {
 public:
  ContentPlanner(Planning& planning, const DatasetSpec& dataset, const DatasetState* seen,
                 const std::string& mountpoint)
      : planning_(planning), spec_(dataset), seen_(seen), mountpoint_(mountpoint) {}

  bool Plan() {
    ChangeContentStep step{.name = spec_.name, .mountpoint = mountpoint_, .created = seen_ == nullptr};
    if (TreeIsDue()) step.tree = RootWish{spec_.owner, spec_.group, spec_.mode};
    std::vector<Difference> differences = TreeDifferences(step.tree);
    if (!spec_.files.empty() && !Reachable()) return step.tree.has_value();
    const FilesSeen& there = SeenFiles();
    for (const FileSpec& declared : spec_.files) {
      const FileSpec file = Completed(declared);
      auto differing = FileDifferences(file, there);
      // Everything in it gets another owner, and these files their own again.
      if (!differing.empty() || step.tree) step.files.push_back(file);
      differences.insert(differences.end(), differing.begin(), differing.end());
    }
    if (!step.tree && step.files.empty()) return false;
    Check(step.tree ? "recursive_owner" : "files");
    Add(std::move(step), std::move(differences));
    return std::get<ChangeContentStep>(planning_.plan.steps.back().step).tree.has_value();
  }

 private:
  std::string At(std::string_view field) const { return Place(spec_.origin, "dataset", spec_.name, field); }

  // Once for each wish: what others create later is theirs, and is not changed again.
  bool TreeIsDue() const {
    const RootWish root{spec_.owner, spec_.group, spec_.mode};
    if (seen_ == nullptr || !spec_.recursive_owner || root.empty() || mountpoint_.empty()) return false;
    const auto given = planning_.owned.trees.find(spec_.name);
    return given == planning_.owned.trees.end() ||
           given->second != fmt::format("{} {}", seen_->guid, TreeText(root));
  }

  static std::vector<Difference> TreeDifferences(const std::optional<RootWish>& tree) {
    std::vector<Difference> differences;
    const auto differ = [&](const char* field, const std::string& value) {
      if (!value.empty()) differences.push_back({field, "as each is", value});
    };
    if (!tree) return differences;
    differ("owner", tree->owner);
    differ("group", tree->group);
    differ("mode", tree->mode);
    return differences;
  }

  // Files can be compared, and delivered, only where their dataset can be looked into.
  bool Reachable() const {
    if (mountpoint_.empty()) {
      planning_.Refuse(At("files"), "{} is not mounted by ZFS, so that no file can be delivered into it",
                       spec_.name);
      return false;
    }
    if (seen_ == nullptr || planning_.seen.files.count(spec_.name) != 0) return true;
    planning_.Refuse(At("files"),
                     "{} is there and not mounted, so that nobody can tell what is in it; mount it first "
                     "(zfs mount {})",
                     spec_.name, spec_.name);
    return false;
  }

  const FilesSeen& SeenFiles() const {
    static const FilesSeen kNone;
    const auto found = planning_.seen.files.find(spec_.name);
    return seen_ == nullptr || found == planning_.seen.files.end() ? kNone : found->second;
  }

  std::vector<Difference> FileDifferences(const FileSpec& file, const FilesSeen& there) const {
    const auto found = there.find(file.path);
    const FileSeen now = found == there.end() ? FileSeen() : found->second;
    if (!now.obstacle.empty()) {
      const auto index = std::find_if(spec_.files.begin(), spec_.files.end(),
                                      [&](const FileSpec& other) { return other.path == file.path; });
      planning_.Refuse(At(fmt::format("files[{}].path", index - spec_.files.begin())), "{} of {}: {}",
                       file.path, spec_.name, now.obstacle);
      return {};
    }
    const std::string digest = Sha256Hex(file.content);
    const std::string content = ContentText(file.content.size(), digest);
    if (!now.there) {
      return {{file.path, "absent", fmt::format("{}, {}:{} {}", content, file.owner, file.group, file.mode)}};
    }
    std::vector<Difference> differences;
    if (now.digest != digest) {
      differences.push_back({file.path + " content", ContentText(now.size_bytes, now.digest), content});
    }
    const DirectoryState inode{now.uid, now.gid, now.mode};
    for (auto& one : RootDifferences({file.owner, file.group, file.mode}, inode, planning_.seen))
      differences.push_back({fmt::format("{} {}", file.path, one.field), one.before, one.after});
    return differences;
  }

  // It is unmounted meanwhile, and snapshots of it are taken.
  void Check(std::string_view field) const {
    if (ParentOf(spec_.name).empty()) {
      planning_.Refuse(At(field), "{} is a whole pool; name the datasets in it one by one", spec_.name);
    }
    if (IsGuestVolume(spec_.name)) {
      planning_.Refuse(At(field), "{} belongs to a guest of Proxmox VE; its content is the guest's",
                       spec_.name);
    }
    if (planning_.HoldsRecord(spec_.name)) planning_.RefuseRecord(At(field));
    if (planning_.Coming("readonly", spec_.name) == "on")
      planning_.Refuse(At(field), "{} is read-only, so that nothing in it can be changed", spec_.name);
    // What is mounted below it would have to go, too.
    const auto refuse_below = [&](const std::string& name, const std::string& at) {
      if (name == spec_.name || at.size() <= mountpoint_.size() || !at.starts_with(mountpoint_ + "/")) return;
      planning_.Refuse(At(field), "{} is mounted below it, at {}; {} cannot be unmounted for the change",
                       name, at, spec_.name);
    };
    for (const auto& [name, dataset] : planning_.seen.datasets) refuse_below(name, dataset.mounted_at);
    for (const auto& dataset : planning_.spec.datasets) {
      const std::string at = planning_.mounts.Of(dataset.name);
      const auto now = planning_.seen.datasets.find(dataset.name);
      if (now == planning_.seen.datasets.end() || now->second.mounted_at != at)
        refuse_below(dataset.name, at);
    }
  }

  void Add(ChangeContentStep step, std::vector<Difference> differences) {
    PlannedStep planned{.id = "content:" + spec_.name, .resource = spec_.name};
    planned.action = step.tree ? "set owner and mode of everything in it" : "deliver files";
    if (step.tree && !step.files.empty()) planned.action += " and deliver files";
    planned.differences = std::move(differences);
    TellUndo(step, planned);
    planned.needs.push_back({"dataset:" + spec_.name, !step.created});
    planned.needs.push_back({"path:" + mountpoint_, !step.created && seen_->mounted_at == mountpoint_});
    // Another step that writes to the mount root's inode has to be done before the guards are taken.
    if (!step.created) planned.needs.push_back({"root:" + spec_.name, true});
    std::vector<Need> names;
    if (step.tree) AddRootNeeds(*step.tree, planning_.seen, names);
    for (const FileSpec& file : step.files) AddRootNeeds({file.owner, file.group, ""}, planning_.seen, names);
    for (Need& need : names) {
      if (std::find(planned.needs.begin(), planned.needs.end(), need) == planned.needs.end())
        planned.needs.push_back(std::move(need));
    }
    if (step.created) {
      // Whoever uses the new place comes after its files.
      planned.provides.push_back("path:" + mountpoint_);
    } else {
      planned.disturbs.push_back("path:" + mountpoint_);
    }
    ProvideFolders(step, planned);
    planned.step = std::move(step);
    planning_.plan.steps.push_back(std::move(planned));
  }

  // That come with the files.
  void ProvideFolders(const ChangeContentStep& step, PlannedStep& planned) const {
    std::set<std::string> folders;
    for (const FileSpec& file : step.files) {
      for (size_t slash = file.path.find('/'); slash != std::string::npos;
           slash = file.path.find('/', slash + 1))
        folders.insert(file.path.substr(0, slash));
    }
    for (const std::string& folder : folders)
      planned.provides.push_back("folder:" + mountpoint_ + "/" + folder);
  }

  void TellUndo(const ChangeContentStep& step, PlannedStep& planned) const {
    planned.undo =
        "it is rolled back to a snapshot taken right before, unmounted, if nobody wrote to it since; a read "
        "that moves "
        "an access time is a write";
    if (step.created) {
      // It was empty: where others wrote to it, undoing its creation sets all of it aside.
      planned.undo += ". Otherwise it goes aside with what is in it, as the undo of its creation says";
      return;
    }
    const char* what = !step.tree           ? "the new files"
                       : step.files.empty() ? "the new owners and modes"
                                            : "the new owners, modes and files";
    planned.reversal = Reversal::kLossy;
    planned.remainder = fmt::format(
        "if somebody wrote to it since, or the node went down in the middle, it keeps {}; how it was before "
        "is "
        "then kept as {}",
        what, AsideName(KeptOf(spec_.name, "RUN"), spec_.name));
  }

  Planning& planning_;
  const DatasetSpec& spec_;
  const DatasetState* seen_;
  const std::string& mountpoint_;
};

}  // namespace

FileSpec Completed(FileSpec file) {
  if (file.owner.empty()) file.owner = "root";
  if (file.group.empty()) file.group = "root";
  if (file.mode.empty()) file.mode = "0644";
  return file;
}

bool PlanContent(Planning& planning, const DatasetSpec& dataset, const DatasetState* seen,
                 const std::string& mountpoint) {
  return ContentPlanner(planning, dataset, seen, mountpoint).Plan();
}

}  // namespace phoenix::zfs

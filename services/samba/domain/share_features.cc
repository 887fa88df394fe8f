#include "services/samba/domain/share_features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

#include "services/samba/domain/parameters.h"

namespace phoenix::samba {
namespace {

constexpr char kModules[] = "vfs objects";
constexpr size_t kLongestFormat = 200;

// Modules that do the file system's work themselves, below which nothing is asked any more: they come last.
constexpr std::array<std::string_view, 8> kBackends = {
    "aio_fork", "aio_pthread", "io_uring", "ceph", "ceph_new", "glusterfs", "glusterfs_fuse", "default"};
// Other modules that show snapshots, each with settings of its own.
constexpr std::array<std::string_view, 5> kOtherSnapshots = {"shadow_copy", "snapper", "btrfs", "shell_snap",
                                                             "ceph_snapshots"};
// Modules that keep ACLs elsewhere.
constexpr std::array<std::string_view, 2> kOtherAcls = {"acl_tdb", "nfs4acl_xattr"};

template <class Modules>
bool Has(const Modules& modules, std::string_view module) {
  return std::find(modules.begin(), modules.end(), module) != modules.end();
}

// Why no snapshot's name and its time can be told from each other by this, or "".
std::string FormatProblem(std::string_view format) {
  if (format.empty() || format.size() > kLongestFormat)
    return fmt::format("the format of the snapshots' names has 1 to {} characters", kLongestFormat);
  std::set<char> given;
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if (c == '%') {
      const char letter = ++at < format.size() ? format[at] : ' ';
      if (std::string_view("YmdHMSyjbBFTR").find(letter) == std::string_view::npos)
        return fmt::format("'%{}' is no part of a time that a name is read by", letter);
      given.insert(letter);
    } else if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
               std::string_view("_.:-").find(c) == std::string_view::npos) {
      return fmt::format("no snapshot can be named by '{}'", format);
    }
  }
  const bool year = given.count('Y') + given.count('y') > 0;
  const bool month = given.count('m') + given.count('b') + given.count('B') > 0;
  const bool day =
      given.count('F') > 0 || (year && (given.count('j') > 0 || (month && given.count('d') > 0)));
  return day ? "" : fmt::format("'{}' names no day", format);
}

class Adder {
 public:
  Adder(ShareSpec& share, std::vector<FieldViolation>& violations)
      : share_(share), violations_(violations), modules_(Words(OptionOr(kModules, ""))) {
    for (std::string& module : modules_)
      std::transform(module.begin(), module.end(), module.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }

  void Run() {
    const size_t before = modules_.size();
    if (share_.acl != ShareAcl::kUnsaid) AddAcl();
    if (share_.previous_versions) AddPreviousVersions(*share_.previous_versions);
    if (modules_.size() != before) share_.options[kModules] = fmt::format("{}", fmt::join(modules_, " "));
  }

 private:
  std::string OptionOr(const std::string& name, std::string_view otherwise) const {
    const auto found = share_.options.find(name);
    return found == share_.options.end() ? std::string(otherwise) : found->second;
  }

  void Report(const std::string& field, const std::string& description) {
    violations_.push_back({share_.origin + "." + field, description});
  }

  void Set(const std::string& field, const std::string& name, const std::string& value) {
    const auto [option, is_new] = share_.options.emplace(name, value);
    if (is_new || SameValue(name, option->second, value)) return;
    Report(field, fmt::format("the option '{} = {}' contradicts it", name, option->second));
  }

  template <class Modules>
  void Refuse(const std::string& field, const Modules& others) {
    for (const std::string& module : modules_) {
      if (Has(others, module)) Report(field, fmt::format("the module {} contradicts it", module));
    }
  }

  void AddAcl() {
    Refuse("acl", kOtherAcls);
    if (ParseBool(OptionOr("nt acl support", "yes")) == false)
      Report("acl", "the option 'nt acl support = no' contradicts it");
    if (share_.acl == ShareAcl::kPosix) {
      if (Has(modules_, "acl_xattr")) Report("acl", "the module acl_xattr contradicts it");
      return Set("acl", "inherit acls", "Yes");
    }
    Set("acl", "map acl inherit", "Yes");
    // First, so that it sees what clients send before any other module has worked on it.
    if (!Has(modules_, "acl_xattr")) modules_.insert(modules_.begin(), "acl_xattr");
  }

  void AddPreviousVersions(const PreviousVersions& wanted) {
    const std::string field = "previous_versions";
    if (const std::string problem = FormatProblem(wanted.format); !problem.empty()) Report(field, problem);
    Refuse(field, kOtherSnapshots);
    Set(field, "shadow:snapdir", ".zfs/snapshot");
    Set(field, "shadow:sort", "desc");
    Set(field, "shadow:format", wanted.format);
    Set(field, "shadow:localtime", wanted.local_time ? "yes" : "no");
    if (Has(modules_, "shadow_copy2")) return;
    // Below what works on names and attributes, so that these find those of the snapshot's files too.
    modules_.insert(std::find_if(modules_.begin(), modules_.end(),
                                 [](const std::string& module) { return Has(kBackends, module); }),
                    "shadow_copy2");
  }

  ShareSpec& share_;
  std::vector<FieldViolation>& violations_;
  std::vector<std::string> modules_;  // of vfs objects, in lower case
};

}  // namespace

void AddFeatures(ShareSpec& share, std::vector<FieldViolation>& violations) {
  Adder(share, violations).Run();
}

bool NeedsModules(const ShareSpec& share) {
  const auto modules = share.options.find(kModules);
  return !share.absent && modules != share.options.end() && !modules->second.empty();
}

}  // namespace phoenix::samba

#include "services/node/host/node_cli.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/node/host/node_command.h"
#include "services/node/host/node_parse.h"

namespace phoenix::node {
namespace {

using Json = nlohmann::json;

// Beside the journals; one file per package.
constexpr char kRecords[] = "/var/lib/phoenix/packages";

std::string RecordPath(const std::string& package) { return fmt::format("{}/{}.json", kRecords, package); }

// The output of a reading command that must succeed.
absl::StatusOr<std::string> Output(CommandRunner& runner, const Command& command) {
  PHX_ASSIGN_OR_RETURN(CommandResult result, runner.Run(command));
  PHX_RETURN_IF_ERROR(ExitStatus(command, result));
  return std::move(result.out);
}

absl::Status Run(CommandRunner& runner, const Command& command, const ChildObserver& observer) {
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner.Run(command, observer));
  return ExitStatus(command, result);
}

absl::StatusOr<std::string> ContentOf(const Files& files, const std::string& path) {
  PHX_ASSIGN_OR_RETURN(const auto file, files.Read(path));
  return file ? file->content : std::string();
}

// True while dpkg has unfinished business: its own, of a run that is under way, or of one that was cut off.
absl::StatusOr<bool> DpkgIsUnfinished(CommandRunner& runner, const Files& files) {
  PHX_ASSIGN_OR_RETURN(const auto updates, files.List("/var/lib/dpkg/updates"));
  if (!updates.empty()) return true;
  PHX_ASSIGN_OR_RETURN(const std::string audit, Output(runner, AuditPackages()));
  return !audit.empty();
}

// Rules as written down; read again where ufw is just writing them.
absl::StatusOr<std::vector<SeenRule>> WrittenRules(const Files& files, const std::string& path,
                                                   std::chrono::milliseconds pause) {
  absl::StatusOr<std::vector<SeenRule>> rules;
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(pause);
    PHX_ASSIGN_OR_RETURN(const std::string content, ContentOf(files, path));
    rules = ParseUserRules(content);
    if (rules.status().code() != absl::StatusCode::kUnavailable) break;
  }
  if (!rules.ok()) return Annotate(rules.status(), path);
  return rules;
}

}  // namespace

absl::StatusOr<std::map<std::string, PackageState>> NodeCli::Packages(const std::vector<std::string>& names) {
  if (names.empty()) return std::map<std::string, PackageState>();
  // Exit code 1 says that one of them is unknown, which is an answer.
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(ShowPackages(names)));
  if (result.exit_code > 1) return ExitStatus(ShowPackages(names), result);
  return ParsePackages(result.out, names);
}

absl::StatusOr<InstallForecast> NodeCli::Forecast(const std::string& package) {
  PHX_ASSIGN_OR_RETURN(const bool unfinished, DpkgIsUnfinished(runner_, files_));
  if (unfinished) {
    return FailedPrecondition(
        "an installation on this node is under way or was cut off: let it end, or run \"dpkg --configure "
        "-a\"");
  }
  const Command command = SimulateInstall(package);
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(command));
  if (result.exit_code != 0) {
    return FailedPrecondition("package {} cannot be installed ({}); \"apt-get update\" may help", package,
                              Message(ExitStatus(command, result)));
  }
  return ParseForecast(result.out);
}

absl::Status NodeCli::BeginInstall(const std::string& package, const std::string& run_id,
                                   const ChildObserver& observer) {
  PHX_ASSIGN_OR_RETURN(const InstallProgress progress, Progress(package, run_id));
  if (progress == InstallProgress::kRunning) return absl::OkStatus();
  PHX_RETURN_IF_ERROR(ForgetInstall(package, run_id, observer));
  // Nothing was unfinished when the plan was made, so what is now was cut off since.
  PHX_ASSIGN_OR_RETURN(const bool unfinished, DpkgIsUnfinished(runner_, files_));
  return Run(runner_, StartInstall(package, run_id, unfinished), observer);
}

absl::StatusOr<InstallProgress> NodeCli::Progress(const std::string& package, const std::string& run_id) {
  const Command command = ShowInstallUnit(InstallUnitName(package, run_id));
  PHX_ASSIGN_OR_RETURN(const std::string out, Output(runner_, command));
  const auto units = ParseShow(out);
  if (units.size() != 1) return Internal("`{}` did not answer with one unit", ToText(command));
  return ToProgress(units.front());
}

absl::StatusOr<InstallProgress> NodeCli::AwaitInstall(const std::string& package, const std::string& run_id,
                                                      std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (true) {
    PHX_ASSIGN_OR_RETURN(const InstallProgress progress, Progress(package, run_id));
    if (progress != InstallProgress::kRunning || std::chrono::steady_clock::now() >= end) return progress;
    std::this_thread::sleep_for(poll_every_);
  }
}

absl::Status NodeCli::ForgetInstall(const std::string& package, const std::string& run_id,
                                    const ChildObserver& observer) {
  const std::string unit = InstallUnitName(package, run_id);
  PHX_ASSIGN_OR_RETURN(const InstallProgress progress, Progress(package, run_id));
  switch (progress) {
    case InstallProgress::kNone:
      return absl::OkStatus();
    case InstallProgress::kRunning:
      return FailedPrecondition("{} is still running", unit);
    case InstallProgress::kSucceeded:
      return Run(runner_, StopUnit(unit), observer);
    case InstallProgress::kFailed:
      return Run(runner_, ResetFailed(unit), observer);
  }
  return absl::OkStatus();
}

std::string NodeCli::InstallLog(const std::string& package, const std::string& run_id) {
  const auto log = Output(runner_, ReadInstallLog(InstallUnitName(package, run_id)));
  if (!log.ok()) return "";
  std::string text = *log;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ';');
  return text;
}

absl::StatusOr<std::optional<InstallRecord>> NodeCli::ReadRecord(const std::string& package) {
  PHX_ASSIGN_OR_RETURN(const auto file, files_.Read(RecordPath(package)));
  if (!file) return std::optional<InstallRecord>();
  const Json json = Json::parse(file->content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return DataLoss("{} is no JSON object", RecordPath(package));
  return std::optional(
      InstallRecord{json.value("run_id", std::string()), json.value("brings", std::vector<std::string>())});
}

absl::Status NodeCli::WriteRecord(const std::string& package, const InstallRecord& record) {
  PHX_RETURN_IF_ERROR(files_.MakeDirectory("/var/lib/phoenix", {0, 0, 0755}));
  PHX_RETURN_IF_ERROR(files_.MakeDirectory(kRecords, {0, 0, 0755}));
  const Json json = {{"run_id", record.run_id}, {"brings", record.brings}};
  return files_.Replace(RecordPath(package), {json.dump() + "\n", 0, 0, 0644});
}

absl::Status NodeCli::RemoveRecord(const std::string& package) { return files_.Remove(RecordPath(package)); }

absl::StatusOr<std::vector<std::string>> NodeCli::UnitsOf(const std::vector<std::string>& packages) {
  if (packages.empty()) return std::vector<std::string>();
  // Exit code 1 says that one of them is not installed; the others are listed all the same.
  PHX_ASSIGN_OR_RETURN(const CommandResult result, runner_.Run(ListPackageFiles(packages)));
  if (result.exit_code > 1) return ExitStatus(ListPackageFiles(packages), result);
  return ParseUnitFiles(result.out);
}

absl::StatusOr<std::map<std::string, UnitState>> NodeCli::Units(const std::vector<std::string>& names) {
  std::map<std::string, UnitState> states;
  if (names.empty()) return states;
  PHX_ASSIGN_OR_RETURN(const std::string out, Output(runner_, ShowUnits(names)));
  const auto shown = ParseShow(out);
  if (shown.size() != names.size()) {
    return Internal("systemctl showed {} units instead of {}", shown.size(), names.size());
  }
  for (size_t i = 0; i < names.size(); ++i) states[names[i]] = ToUnitState(names[i], shown[i]);
  return states;
}

absl::StatusOr<std::vector<std::string>> NodeCli::PulledBy(const std::string& unit) {
  std::set<std::string> pulled;
  std::vector<std::string> next = {unit};
  while (!next.empty()) {
    PHX_ASSIGN_OR_RETURN(const std::string out, Output(runner_, ShowDependencies(next)));
    next.clear();
    for (const UnitProperties& properties : ParseShow(out)) {
      for (const std::string& name : PulledUnits(properties)) {
        if (name != unit && pulled.insert(name).second) next.push_back(name);
      }
    }
  }
  return std::vector<std::string>(pulled.begin(), pulled.end());
}

absl::Status NodeCli::Enable(const std::string& unit, bool runtime, const ChildObserver& observer) {
  return Run(runner_, EnableUnit(unit, runtime), observer);
}

absl::Status NodeCli::Disable(const std::string& unit, bool runtime, const ChildObserver& observer) {
  return Run(runner_, DisableUnit(unit, runtime), observer);
}

absl::Status NodeCli::Start(const std::string& unit, const ChildObserver& observer) {
  return Run(runner_, StartUnit(unit), observer);
}

absl::Status NodeCli::Stop(const std::string& unit, const ChildObserver& observer) {
  return Run(runner_, StopUnit(unit), observer);
}

absl::StatusOr<FirewallState> NodeCli::Firewall(node::Firewall of) {
  FirewallState firewall;
  PHX_ASSIGN_OR_RETURN(const auto packages, Packages({"ufw", "pve-firewall"}));
  firewall.ufw_installed = packages.at("ufw") == PackageState::kInstalled;
  firewall.pve_installed = packages.at("pve-firewall") == PackageState::kInstalled;
  if (firewall.pve_installed) {
    PHX_ASSIGN_OR_RETURN(const std::string cluster, ContentOf(files_, "/etc/pve/firewall/cluster.fw"));
    PHX_ASSIGN_OR_RETURN(const std::string host, ContentOf(files_, "/etc/pve/local/host.fw"));
    firewall.pve_enabled = PveFirewallEnabled(cluster, host);
  }
  if (firewall.ufw_installed) PHX_RETURN_IF_ERROR(ReadUfw(firewall));
  if ((of == node::Firewall::kNone ? firewall.InCharge() : of) != node::Firewall::kPve) return firewall;
  // Those of ufw are not the ones asked for; an inactive one keeps its rules, which let nobody in.
  firewall.rules.clear();
  firewall.live.clear();
  if (!firewall.pve_installed) return firewall;
  PHX_ASSIGN_OR_RETURN(const auto rules, PveRules());
  for (const PveRule& one : rules) firewall.rules.push_back(one.rule);
  return firewall;
}

absl::StatusOr<std::unique_ptr<FirewallLock>> NodeCli::LockFirewall() {
  // Each has a file description of its own, so that the threads of a program take turns as well.
  class Held final : public FirewallLock {
   public:
    explicit Held(int fd) : fd_(fd) {}
    ~Held() override { ::close(fd_); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    const int fd_;
  };
  const int fd = ::open(lock_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoStatus(errno, lock_);
  auto held = std::make_unique<Held>(fd);
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, lock_);
  }
  return held;
}

absl::Status NodeCli::ReadUfw(FirewallState& firewall) {
  PHX_ASSIGN_OR_RETURN(const std::string conf, ContentOf(files_, "/etc/ufw/ufw.conf"));
  PHX_ASSIGN_OR_RETURN(const std::string defaults, ContentOf(files_, "/etc/default/ufw"));
  PHX_ASSIGN_OR_RETURN(const std::string status, Output(runner_, UfwStatus()));
  firewall.ufw_active = UfwStatusActive(status);
  // ufw leaves IPv6 out where the kernel has none.
  firewall.ufw_enabled = ShellSwitch(conf, "ENABLED");
  PHX_ASSIGN_OR_RETURN(const auto kernel_ipv6, files_.ReadDirectory("/proc/sys/net/ipv6"));
  firewall.ufw_ipv6 = kernel_ipv6.has_value() && ShellSwitch(defaults, "IPV6");
  for (const bool ipv6 : {false, true}) {
    if (ipv6 && !firewall.ufw_ipv6) continue;
    const std::string path = ipv6 ? "/etc/ufw/user6.rules" : "/etc/ufw/user.rules";
    PHX_ASSIGN_OR_RETURN(auto written, WrittenRules(files_, path, poll_every_));
    std::move(written.begin(), written.end(), std::back_inserter(firewall.rules));
    if (!firewall.ufw_active) continue;
    PHX_ASSIGN_OR_RETURN(const std::string saved, Output(runner_, SaveIptables(ipv6)));
    auto live = ParseLiveRules(saved, ipv6);
    std::move(live.begin(), live.end(), std::back_inserter(firewall.live));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> NodeCli::PveNode() {
  PHX_ASSIGN_OR_RETURN(const std::string name, ContentOf(files_, "/proc/sys/kernel/hostname"));
  const std::string node = name.substr(0, name.find_first_of(".\n"));
  if (node.empty()) return Internal("this node has no name");
  return node;
}

absl::StatusOr<std::vector<PveRule>> NodeCli::PveRules() {
  PHX_ASSIGN_OR_RETURN(const std::string node, PveNode());
  PHX_ASSIGN_OR_RETURN(const std::string out, Output(runner_, PveRulesCommand(node)));
  return ParsePveRules(out);
}

absl::Status NodeCli::AllowRule(node::Firewall firewall, const FirewallRule& rule, const std::string& comment,
                                const ChildObserver& observer) {
  if (firewall != node::Firewall::kPve) return Run(runner_, UfwAllow(rule, comment), observer);
  PHX_ASSIGN_OR_RETURN(const std::string node, PveNode());
  return Run(runner_, PveAllow(node, rule, comment), observer);
}

absl::Status NodeCli::DeleteRule(node::Firewall firewall, const FirewallRule& rule,
                                 const std::string& comment, const ChildObserver& observer) {
  if (firewall == node::Firewall::kPve) return DeletePveRule(rule, comment, observer);
  return Run(runner_, UfwDelete(rule, comment), observer);
}

absl::Status NodeCli::DeletePveRule(const FirewallRule& rule, const std::string& comment,
                                    const ChildObserver& observer) {
  constexpr int kTries = 3;  // somebody else, another participant too, may be changing rules
  PHX_ASSIGN_OR_RETURN(const std::string node, PveNode());
  absl::Status status;
  for (int tried = 0; tried < kTries; ++tried) {
    PHX_ASSIGN_OR_RETURN(const auto rules, PveRules());
    const auto ours = std::find_if(rules.begin(), rules.end(), [&](const PveRule& one) {
      return SamePackets(one.rule, rule) && one.rule.action == "allow" && one.rule.comment == comment;
    });
    if (ours == rules.end()) return absl::OkStatus();
    // By its place: the digest says that it is still the one that was read there.
    status = Run(runner_, PveDelete(node, ours->position, ours->digest), observer);
    if (status.ok()) break;
  }
  return status;
}

}  // namespace phoenix::node

#include "orchestrator/config/user_data.h"

#include <fmt/format.h>

#include <string>

namespace phoenix::config {
namespace {

constexpr const char* kProgram = "/usr/local/sbin/phoenix-features";
constexpr const char* kUnits = "/etc/systemd/system/";
constexpr const char* kService = "phoenix-features.service";
// A server that is away makes the VM wait, never lose an answer; nothing on a share gains rights in the VM.
constexpr const char* kMountOptions = "hard,nosuid,nodev,_netdev,nofail";

// What is the same in every VM. Files are copied before they are looked at: what was checked is what runs,
// whoever changes the share meanwhile.
constexpr const char* kScript = R"sh(
set -u
umask 077
export HOME=/root DEBIAN_FRONTEND=noninteractive
state=/var/lib/phoenix-features
mkdir -p "$state" || exit 1
work=$(mktemp -d "$state/run.XXXXXX") || exit 1
# What this VM holds open on the share would be in the way of the next delivery.
trap 'rm -rf "$work"; systemctl stop "$scripts_unit" 2>/dev/null' EXIT
mkdir "$work/files"

mounted() {
  mountpoint -q "$1" || systemctl start "$2"
  mountpoint -q "$1"
}

# What came of a step, for the hypervisor: NAME CODE LOG. Whole files only, by rename.
report() {
  if ! mounted "$inbox" "$inbox_unit"; then
    echo "phoenix-features: $inbox is not mounted; the result of $1 stays here" >&2
    return
  fi
  {
    echo "vmid=$vmid"
    echo "step=$1"
    echo "exit_code=$2"
    echo "finished=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo
    tail -n 100 "$3" | tail -c 16384
  } >"$work/result"
  cp "$work/result" "$inbox/.$1.partial" && mv -f "$inbox/.$1.partial" "$inbox/$1.result" ||
    echo "phoenix-features: the result of $1 cannot be written to $inbox" >&2
}

# Prepares NAME COMMAND: nothing is run where it fails.
prepare() {
  name=$1
  shift
  if "$@" >"$work/log" 2>&1; then return; fi
  cat "$work/log" >&2
  report "$name" 1 "$work/log"
  exit 1
}

install_client() {
  command -v mount.nfs >/dev/null && return
  apt-get -q update && apt-get -q -y install nfs-common
}

# The first look mounts it, where it is mounted on demand.
mount_scripts() {
  if mounted "$scripts" "$scripts_unit" && ls "$scripts" >/dev/null; then return; fi
  echo "$scripts is not mounted"
  return 1
}

copy_files() {
  while read -r digest file; do
    cp "$scripts/$file" "$work/files/$file" || return 1
  done <"$work/digests"
}

verify_files() {
  (cd "$work/files" && sha256sum --strict --quiet -c "$work/digests") || {
    echo "a file on $scripts is not the one that was declared; nothing of it was run"
    return 1
  }
}

# One feature: NAME SCRIPT. What succeeded once is run again only where its script is another one.
feature() {
  digest=$(sha256sum <"$work/files/$2") || exit 1
  if [ "$(cat "$state/$1.done" 2>/dev/null)" = "$digest" ]; then return; fi
  chmod 700 "$work/files/$2"
  (cd "$work/files" && exec "./$2" "$vmid") </dev/null >"$work/log" 2>&1
  code=$?
  cp "$work/log" "$state/$1.log"
  report "$1" "$code" "$work/log"
  if [ "$code" -ne 0 ]; then
    echo "phoenix-features: $1 ended with $code; see $state/$1.log. It is tried again at the next boot" >&2
    exit 1
  fi
  echo "$digest" >"$state/$1.done"
}

prepare phoenix-nfs-client install_client
prepare phoenix-mount mount_scripts
prepare phoenix-copy copy_files
prepare phoenix-verify verify_files
)sh";

std::string MountUnitText(const UserData& data, const char* what, const std::string& path,
                          const std::string& where, const char* access) {
  const std::string host =
      data.server.find(':') == std::string::npos ? data.server : fmt::format("[{}]", data.server);
  return fmt::format(
      "[Unit]\nDescription={} of this VM, from its hypervisor\nWants=network-online.target\n"
      "After=network-online.target\n[Mount]\nWhat={}:{}\nWhere={}\nType=nfs\nOptions={},{}\n"
      "[Install]\nWantedBy=multi-user.target\n",
      what, host, path, where, access, kMountOptions);
}

// A literal block, which takes every character as it is.
std::string WriteFile(const std::string& path, const char* mode, const std::string& content) {
  std::string text = fmt::format(
      "  - path: '{}'\n    owner: root:root\n    permissions: '{}'\n    content: |\n", path, mode);
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t end = content.find('\n', at);
    if (end > at) text += "      " + content.substr(at, end - at);
    text += '\n';
    at = end + 1;
  }
  return text;
}

}  // namespace

std::string MountUnit(std::string_view path) {
  std::string name;
  for (std::size_t i = 1; i < path.size(); ++i) {
    const char c = path[i];
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || (c == '.' && i > 1);
    if (c == '/') {
      name += '-';
    } else if (plain) {
      name += c;
    } else {
      name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return name + ".mount";
}

std::string FeatureScript(const UserData& data) {
  std::string text = fmt::format(
      "#!/bin/sh\n# Made by Phoenix: runs the features of VM {0} that are named at the end, once each, in "
      "this "
      "order.\nvmid={0}\nscripts='{1}'\nscripts_unit='{2}'\ninbox='{3}'\ninbox_unit='{4}'\n",
      data.vmid, data.scripts_mount, MountUnit(data.scripts_mount), data.inbox_mount,
      MountUnit(data.inbox_mount));
  const std::string body = std::string(kScript).substr(1);
  const std::size_t prepares = body.find("prepare phoenix-nfs-client");
  text += body.substr(0, prepares);
  text += "cat >\"$work/digests\" <<'END'\n";
  for (const FeatureFile& file : data.files) text += fmt::format("{}  {}\n", file.sha256, file.name);
  text += "END\n" + body.substr(prepares);
  for (const FeatureRun& run : data.runs) text += fmt::format("feature '{}' '{}'\n", run.feature, run.script);
  return text;
}

std::string CloudConfig(const UserData& data) {
  const std::string scripts_unit = MountUnit(data.scripts_mount), inbox_unit = MountUnit(data.inbox_mount);
  std::string text = fmt::format(
      "#cloud-config\n# Made by Phoenix for VM {}; the next run writes over what is changed here.\n",
      data.vmid);
  if (!data.hostname.empty()) text += fmt::format("hostname: '{}'\nmanage_etc_hosts: true\n", data.hostname);
  text += "package_update: true\npackages:\n  - nfs-common\nwrite_files:\n";
  text += WriteFile(kUnits + scripts_unit, "0644",
                    MountUnitText(data, "Features", data.scripts_path, data.scripts_mount, "ro"));
  // Mounted while it is looked at: an idle share holds nothing on its server, which can deliver anew.
  const std::string on_demand = scripts_unit.substr(0, scripts_unit.rfind('.')) + ".automount";
  text += WriteFile(
      kUnits + on_demand, "0644",
      fmt::format("[Unit]\nDescription=Features of this VM, when they are looked at\n"
                  "[Automount]\nWhere={}\nTimeoutIdleSec=60\n[Install]\nWantedBy=multi-user.target\n",
                  data.scripts_mount));
  text += WriteFile(kUnits + inbox_unit, "0644",
                    MountUnitText(data, "Answers", data.inbox_path, data.inbox_mount, "rw,noexec"));
  text +=
      WriteFile(kUnits + std::string(kService), "0644",
                fmt::format("[Unit]\nDescription=Features of this VM, from its hypervisor\n"
                            "Wants=network-online.target\nAfter=network-online.target {} {}\n"
                            "[Service]\nType=oneshot\nExecStart={}\n[Install]\nWantedBy=multi-user.target\n",
                            scripts_unit, inbox_unit, kProgram));
  text += WriteFile(kProgram, "0700", FeatureScript(data));
  // After the packages. Repeating it changes nothing.
  text += fmt::format(
      "runcmd:\n  - ['systemctl', 'daemon-reload']\n  - ['systemctl', 'enable', '{0}', '{1}', '{2}']\n"
      "  - ['systemctl', 'start', '{0}']\n  - ['systemctl', 'start', '{2}']\n",
      on_demand, inbox_unit, kService);
  return text;
}

}  // namespace phoenix::config

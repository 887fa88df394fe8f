// The cloud-config with which a VM fetches its features and runs them. Pure text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phoenix::config {

// A file that the VM copies from its share, and the SHA-256 without which it runs nothing.
struct FeatureFile {
  std::string name;  // letters, digits and ._- only
  std::string sha256;
};

struct FeatureRun {
  std::string feature;
  std::string script;  // one of the files
};

// Every text is of characters that neither YAML nor the shell take for anything else; whoever fills this in
// has checked them.
struct UserData {
  std::uint32_t vmid = 0;
  // Empty where the file is vendor data, beside which Proxmox VE's own user data sets the name.
  std::string hostname;
  std::string server;         // host name or address
  std::string scripts_path;   // exported, what the VM reads
  std::string inbox_path;     // exported, what the VM answers into
  std::string scripts_mount;  // where the VM mounts them
  std::string inbox_mount;
  std::vector<FeatureFile> files;
  std::vector<FeatureRun> runs;  // in this order
};

// "#cloud-config" and YAML: installs nfs-common, mounts both exports at every boot, and runs as root, once
// each, the features whose files have the SHA-256 that stands here. The same input gives the same text.
std::string CloudConfig(const UserData& data);

// The script of it alone, for tests.
std::string FeatureScript(const UserData& data);

// The name of systemd's mount unit of a path: "/mnt/nfs" is "mnt-nfs.mount".
std::string MountUnit(std::string_view path);

}  // namespace phoenix::config

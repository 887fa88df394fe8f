// What is wanted of this node's storage entries. Pure values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/proxmox/domain/container_spec.h"
#include "services/proxmox/domain/vm_spec.h"

namespace phoenix::proxmox {

// Native option names and values, without content, nodes and disable.
using Options = std::map<std::string, std::string, std::less<>>;
using Words = std::set<std::string, std::less<>>;

// One entry that is wanted on this node, or wanted gone.
struct StorageSpec {
  std::string id;
  std::string type;
  Words content;  // empty: not declared
  Options options;
  bool absent = false;
  std::string origin;  // the place in the configuration, for errors
  // cifs with a user name: the secret's name, never its value.
  std::string password_secret;
  // zfspool: where the configuration has the dataset mounted; "" where it says nothing.
  std::string mount_point = {};
  friend bool operator==(const StorageSpec&, const StorageSpec&) = default;
};

struct ProxmoxSpec {
  std::vector<StorageSpec> storages;
  // What is not named is not reported as orphaned.
  bool partial = false;
  // Entries that we created and that are not named any more go.
  bool prune_storages = false;
  std::vector<ContainerSpec> containers;
  // VMs of which those on this node take cloud-init data of their own.
  std::vector<VmSpec> vms;
  friend bool operator==(const ProxmoxSpec&, const ProxmoxSpec&) = default;
};

}  // namespace phoenix::proxmox

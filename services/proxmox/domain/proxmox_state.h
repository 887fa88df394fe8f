// What is seen of a node's Proxmox VE storage. Pure values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/proxmox/domain/proxmox_spec.h"

namespace phoenix::proxmox {

// A section of storage.cfg in the sense that Proxmox VE gives it.
struct StorageEntry {
  std::string id;
  std::string type;
  Words content;  // where no line names any: the type's default
  Words nodes;    // empty: all nodes
  bool disabled = false;
  Options options;        // in normal form
  bool implicit = false;  // `local`, where the file does not hold it
  friend bool operator==(const StorageEntry&, const StorageEntry&) = default;
};

// True when the node may use the entry.
inline bool IsMember(const StorageEntry& entry, std::string_view node) {
  return entry.nodes.empty() || entry.nodes.count(node) != 0;
}

// True where the entry is there for other nodes when this one leaves it.
inline bool StaysWithOthers(const StorageEntry& entry, const std::string& node) {
  return entry.nodes.size() > entry.nodes.count(node);
}

// /etc/pve/storage.cfg as the genuine tools would understand it.
struct StorageConfig {
  std::map<std::string, StorageEntry, std::less<>> entries;
  std::vector<std::string> order;  // ids as the file has them
  std::string digest;              // SHA-1 of the file's bytes, which `pvesm set --digest` wants
  // What the next rewrite by any tool drops, with line numbers: comments, unknown types and properties.
  std::vector<std::string> lost;
  // Sections that make every Proxmox tool of the cluster fail until a person repairs the file.
  std::vector<std::string> broken;
};

struct Mount {
  std::string source;
  std::string path;
  std::string type;
  friend bool operator==(const Mount&, const Mount&) = default;
};

struct ProxmoxState {
  // There is a token for the node's own API, by which alone a password can be handed over.
  bool has_api_token = false;
  bool installed = false;  // pvesm is there
  std::string node;
  std::string cluster;  // "" on a standalone node
  bool quorate = true;
  StorageConfig config;
  std::vector<Mount> mounts;
  // Addresses and names of this node, to know a server that is this very node; names in lower case.
  Words addresses;
  Words pools;    // imported ZFS pools
  Words folders;  // of those asked for, the directories that are there
  // Guests and jobs that name a storage, of the ids asked for.
  std::map<std::string, std::vector<std::string>, std::less<>> users;
};

}  // namespace phoenix::proxmox

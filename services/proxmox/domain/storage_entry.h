// What an entry means: comparing it with what is wanted, and the folders that Proxmox VE makes for it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/proxmox/domain/proxmox_spec.h"
#include "services/proxmox/domain/proxmox_state.h"

namespace phoenix::proxmox {

// What a node is a member of: the entry without its nodes.
struct Definition {
  std::string type;
  std::optional<Words> content;  // nullopt: whatever it is
  Options options;               // in normal form
  friend bool operator==(const Definition&, const Definition&) = default;
};

struct Difference {
  std::string field;
  std::string found;  // "" where there is none
  std::string wanted;
  bool fixed = false;  // Proxmox VE cannot change it
  friend bool operator==(const Difference&, const Difference&) = default;
};

// The definition's options in normal form.
Definition Normal(Definition definition);

// What the entry has otherwise than the definition says; fields that the definition does not name are not
// looked at. A boolean that is off equals one that is not set.
std::vector<Difference> Compare(const StorageEntry& found, const Definition& wanted);

// Options of the entry that nobody declared and that pvesm does not add by itself either.
std::vector<std::string> ForeignOptions(const StorageEntry& found, const Definition& wanted);

// The folder an entry's files are under: its path, for nfs and cifs where it is mounted; "" for zfspool.
std::string PathOf(const std::string& id, const Definition& definition);

// The mount point that a dir entry insists on; "" for none.
std::string MountPointOf(const Definition& definition);
// Of a type that Proxmox VE mounts from a server.
bool IsNetwork(const Definition& definition);
// "/mnt/pve", where the mount of a network storage lies: Proxmox VE makes it with the first one. "" for other
// types.
std::string FolderOfMount(const std::string& id, const Definition& definition);

// Every folder that activating the entry may make, parents first: the path, missing parents of it, and for
// dir entries one folder for each content. Empty for zfspool.
std::vector<std::string> FoldersOf(const std::string& id, const Definition& definition);

// The entry as it is once the definition holds; nullptr: a new one.
Definition After(const StorageEntry* entry, const Definition& wanted);

// The paths that activating a dir entry writes into where only `present` of its folders are there, outermost
// first: its own path where the folder itself or one right in it is missing, and each present folder in it
// that gets another one.
std::vector<std::string> PathsWritten(const Definition& dir, const Words& present);

// What both of two entries on one folder hold: each would list, prune and free the other's files. images and
// rootdir count as one, since the disks of containers lie among the images.
Words SharedContent(const Definition& a, const Definition& b);

// One line that is equal for entries of equal meaning.
std::string CanonicalText(const StorageEntry& entry);

// The same of a definition: "zfspool content=images pool=tank/vm".
std::string TextOf(const Definition& definition);

// The definition that makes this very entry again.
Definition DefinitionOf(const StorageEntry& entry);

}  // namespace phoenix::proxmox

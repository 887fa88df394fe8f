// What is wanted of containers' storage. Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace phoenix::proxmox {

struct ContainerVolumeSpec {
  std::string name;
  std::string storage;  // a storage id
  uint64_t size_gib = 0;
  std::string path;            // in the container
  std::optional<bool> backup;  // nullopt: not declared
  bool read_only = false;
  std::string origin;  // the place in the configuration, for errors
  friend bool operator==(const ContainerVolumeSpec&, const ContainerVolumeSpec&) = default;
};

struct ContainerBindSpec {
  std::string host_path;
  std::string path;  // in the container
  // Who owns the directory, as the container counts; nullopt: not looked at.
  std::optional<uint32_t> owner_uid, owner_gid;
  bool read_only = false;
  std::string origin;
  // Whom the same configuration makes its owners, as the host counts; nullopt where it does not. A container
  // that maps owner_uid and owner_gid to others is refused.
  std::optional<uint32_t> host_uid = std::nullopt, host_gid = std::nullopt;
  // Wanted gone: the mount point of this very directory, never the directory.
  bool absent = false;
  friend bool operator==(const ContainerBindSpec&, const ContainerBindSpec&) = default;
};

struct ContainerSpec {
  uint32_t id = 0;
  std::vector<ContainerVolumeSpec> volumes;
  std::vector<ContainerBindSpec> binds;
  std::string origin;
  // The other node of the fleet that holds the container's persistent volumes; "": this one, or none does.
  std::string placed_on = {};
  friend bool operator==(const ContainerSpec&, const ContainerSpec&) = default;
};

}  // namespace phoenix::proxmox

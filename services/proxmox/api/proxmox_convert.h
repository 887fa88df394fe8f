// Between protos and domain values; with the handlers the only place of this service that knows protobuf.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "phoenix/proxmox/v1/proxmox.pb.h"
#include "services/proxmox/domain/proxmox_spec.h"
#include "services/proxmox/domain/proxmox_state.h"

namespace phoenix::proxmox {

// INVALID_ARGUMENT for another type, bytes that are no such message, or a presence that is unknown here.
absl::StatusOr<ProxmoxSpec> ParseSpec(std::string_view type, std::string_view bytes);
absl::StatusOr<ProxmoxSpec> ToSpec(const v1::ProxmoxSpec& proto);
v1::ProxmoxSpec ToProto(const ProxmoxSpec& spec);

// The resource of an entry; `managed`: Phoenix made it.
v1::Storage ToProto(const StorageEntry& entry, bool managed);
// What a typed create or update wants: the resource as a declared entry. Nodes and the switch cannot be
// declared and are refused where they are set.
absl::StatusOr<StorageSpec> ToStorageSpec(const v1::Storage& storage);

// "storages/ID" to ID; INVALID_ARGUMENT for anything else.
absl::StatusOr<std::string> ParseStorageName(std::string_view name);
std::string StorageName(std::string_view id);
// Changes whenever the entry's meaning changes.
std::string EtagOf(const StorageEntry& entry);

}  // namespace phoenix::proxmox

#include <map>

#include "orchestrator/config/specs.h"
#include "phoenix/nfs/v1/nfs.pb.h"

namespace phoenix::config {
namespace {

// What must be mounted before the path is exported: the innermost that ZFS mounts by itself; "" for nothing
// that is declared.
std::string MountPointOf(const Config& config, const std::string& path) {
  std::string best;
  for (const Dataset& dataset : config.datasets) {
    const auto canmount = dataset.properties.find("canmount");
    const bool by_itself = canmount == dataset.properties.end() || canmount->second.value == "on";
    if (dataset.absent || !by_itself || dataset.mountpoint.empty() || !IsAtOrBelow(path, dataset.mountpoint))
      continue;
    if (dataset.mountpoint.size() > best.size()) best = dataset.mountpoint;
  }
  return best;
}

}  // namespace

Spec NfsSpecOf(const Config& config, const std::set<std::string>& prune) {
  nfs::v1::NfsSpec spec;
  spec.set_prune_exports(prune.contains("exports"));
  spec.set_prune_rules(prune.contains("rules"));
  // One path may be exported to several groups of clients: one export with options per client.
  std::map<std::string, nfs::v1::ExportSpec*> by_path;
  for (const NfsExport& declared : config.exports) {
    auto*& out = by_path[declared.path];
    if (out == nullptr) {
      out = spec.add_exports();
      out->set_path(declared.path);
      out->set_presence(declared.absent ? nfs::v1::PRESENCE_ABSENT : nfs::v1::PRESENCE_PRESENT);
      out->set_origin(declared.origin.ToString());
      if (!declared.absent) out->set_mount_point(MountPointOf(config, declared.path));
    }
    for (const auto& client : declared.clients) {
      auto* client_spec = out->add_clients();
      client_spec->set_client(client);
      for (const auto& option : declared.options) client_spec->add_options(option);
    }
  }
  return {"nfs", "phoenix.nfs.v1.NfsSpec", spec.SerializeAsString()};
}

}  // namespace phoenix::config

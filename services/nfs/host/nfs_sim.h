// The simulated node's NFS server, with nfs-utils' measured manners: exportfs reads the same files, drops
// what it drops, and its word is not to be relied on.
//
// In the world: "nfs.etab" objects by path and client hold the table; "nfs.address" objects are the node's
// addresses besides 127.0.0.1. Read of others: the datasets ("zfs.dataset", for what is mounted where) and
// the packages. Host names resolve, but for those below .invalid. Faults: "nfs.exportfs",
// "nfs.set-export:PATH", "nfs.make-file", "nfs.flush", "nfs.mount:PATH". The
// kernel's cache of the table is the file /proc/fs/nfsd/exports, which is only there where a test writes it.
// "nfs.link" objects by path, with "target", are symbolic links, which the machine's files have none of. An
// object "2.6.2" of "nfs.utils" makes exportfs that of Debian 12. The server listens where nfs.conf says at
// that moment.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/kit/sim/machine.h"
#include "services/nfs/host/exports_host.h"
#include "services/nfs/host/nfs_probe.h"

namespace phoenix::nfs {

class NfsSim final : public ExportsHost {
 public:
  NfsSim(std::shared_ptr<kit::Machine> machine, Files& files)
      : ExportsHost(files), machine_(std::move(machine)) {}
  absl::Status MakeOwnFile() override;
  absl::Status SetEntry(const EntryChange& change, const ChildObserver& on_child) override;
  std::map<std::string, std::string> ToolVersions() override;
  // `exportfs -r`, as somebody else on the node would run it.
  absl::Status RunExportfs() { return Reexport(nullptr).status(); }

 protected:
  absl::StatusOr<std::string> Reexport(const ChildObserver& on_child) override;
  absl::Status ExportByHand(const LiveExport& live, const ChildObserver& on_child) override;
  absl::Status UnexportByHand(const LiveExport& live, const ChildObserver& on_child) override;
  absl::Status FlushKernel(const ChildObserver& on_child) override;
  absl::StatusOr<std::string> ReadTable() override;
  absl::StatusOr<PathState> LookAt(const std::string& path) override;
  std::string Resolve(const std::string& path) override;
  absl::StatusOr<bool> KnowsNewerOptions() override;

 private:
  std::shared_ptr<kit::Machine> machine_;
};

class NfsProbeSim final : public NfsProbe {
 public:
  explicit NfsProbeSim(std::shared_ptr<kit::Machine> machine) : machine_(std::move(machine)) {}
  absl::StatusOr<std::vector<std::string>> OwnAddresses() override;
  absl::StatusOr<MountFinding> Mount(const std::string& server, int port, const std::string& path) override;

 private:
  std::shared_ptr<kit::Machine> machine_;
};

}  // namespace phoenix::nfs

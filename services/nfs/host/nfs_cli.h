// The node's real NFS server: nfs-utils.
#pragma once

#include <map>
#include <string>

#include "base/host/command.h"
#include "base/host/files.h"
#include "services/nfs/host/exports_host.h"

namespace phoenix::nfs {

class NfsCli final : public ExportsHost {
 public:
  NfsCli(CommandRunner& runner, Files& files) : ExportsHost(files), runner_(runner) {}
  std::map<std::string, std::string> ToolVersions() override;

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
  CommandRunner& runner_;
};

// The mount that holds `path`, from the text of a mountinfo. Pure.
PathState MountOf(const std::string& mountinfo, const std::string& path);

// True for a version of the package ("1:2.8.3-1") after 2.6.2, whose exportfs takes xprtsec= and reexport=;
// also where there is none, or it cannot be told. Pure.
bool IsAfterDebian12(const std::string& version);

}  // namespace phoenix::nfs

// What the real and the simulated host share: everything about our file, over files and a table behind two
// calls.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <string>
#include <vector>

#include "base/host/files.h"
#include "services/nfs/host/nfs_host.h"

namespace phoenix::nfs {

class ExportsHost : public NfsHost {
 public:
  explicit ExportsHost(Files& files) : files_(files) {}
  absl::StatusOr<NfsState> Observe(const std::vector<std::string>& paths) override;
  absl::Status MakeOwnFile() override;
  absl::Status RemoveOwnFile(bool directory_too) override;
  absl::Status SetEntry(const EntryChange& change, const ChildObserver& on_child) override;
  absl::Status PutLive(const std::vector<std::string>& paths, const ChildObserver& on_child) override;
  absl::Status RestoreLive(const std::vector<std::string>& paths, const std::vector<LiveExport>& before,
                           const ChildObserver& on_child) override;

 protected:
  // `exportfs -r`. OK whatever it thinks of the files; its complaints, if any, are answered for messages.
  virtual absl::StatusOr<std::string> Reexport(const ChildObserver& on_child) = 0;
  // Puts one entry into the table, or takes it out, without a look at the files. A hint, like all that
  // exportfs answers.
  virtual absl::Status ExportByHand(const LiveExport& live, const ChildObserver& on_child) = 0;
  virtual absl::Status UnexportByHand(const LiveExport& live, const ChildObserver& on_child) = 0;
  // `exportfs -f`, at a moment when the kernel obeys it at once.
  virtual absl::Status FlushKernel(const ChildObserver& on_child) = 0;
  // The table, in etab's form; "" where there is none.
  virtual absl::StatusOr<std::string> ReadTable() = 0;
  virtual absl::StatusOr<PathState> LookAt(const std::string& path) = 0;
  // The path behind symbolic links, as exportfs resolves it before it writes the table: as it is where it is
  // not there.
  virtual std::string Resolve(const std::string& path) = 0;
  // Whether the exportfs that is installed takes the options of IsNewerOption().
  virtual absl::StatusOr<bool> KnowsNewerOptions() = 0;
  Files& files() { return files_; }

 private:
  absl::Status ReadForeign(NfsState& state);
  // What Resolve() will give once the path is there.
  std::string RealName(const std::string& path);
  std::vector<std::string> Connected() const;
  absl::StatusOr<std::vector<LiveExport>> LiveNow();
  // After the table was changed to `live`: returns once the kernel, too, has let go of what is no longer in
  // it, so that its file systems can be unmounted.
  absl::Status MakeKernelLetGo(const std::vector<LiveExport>& live, const ChildObserver& on_child);
  absl::Status PutInPlace(const std::string& text, const EntryChange& change, const NfsState& before,
                          const ChildObserver& on_child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(own_file_);

  Files& files_;
  // One reader-modifier of our file at a time.
  absl::Mutex own_file_;
};

}  // namespace phoenix::nfs

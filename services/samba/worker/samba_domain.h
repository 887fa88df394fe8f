// Samba as a participant: shares, users and passwords of one node.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host/files.h"
#include "services/kit/participant/domain.h"
#include "services/node/worker/node_steps.h"
#include "services/samba/domain/samba_planner.h"
#include "services/samba/domain/samba_spec.h"
#include "services/samba/domain/samba_step.h"
#include "services/samba/host/samba_host.h"
#include "services/samba/worker/sealed_store.h"

namespace phoenix::samba {

// The spec in the bytes of a message of this type. A function, so that no protobuf is linked here.
using SpecParser = std::function<absl::StatusOr<SambaSpec>(std::string_view type, std::string_view bytes)>;

inline constexpr char kSpecType[] = "phoenix.samba.v1.SambaSpec";

// Thread-safe. Steps on our file and smb.conf take turns, and so do steps on accounts and passdb.
class SambaDomain final : public kit::Domain {
 public:
  // What it is given outlives it.
  SambaDomain(SambaHost& host, Files& files, node::NodeSteps& node, SealedStore& sealed, SpecParser parser,
              SambaPaths paths = {});

  kit::DomainDescription Describe() override;
  absl::StatusOr<std::vector<kit::ObservedField>> Observe(const std::vector<std::string>& keys) override;
  absl::StatusOr<kit::Plan> MakePlan(const kit::PlanInput& input) override;
  absl::StatusOr<std::string> Capture(const kit::Step& step, const std::string& run_id) override;
  absl::Status Do(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::ProbeResult> ProbeStep(const kit::Step& step, const kit::StepContext& context) override;
  absl::Status Undo(const kit::Step& step, const kit::StepContext& context) override;
  std::vector<std::string> RemainingCommands(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::LedgerChange> LedgerOf(const kit::Step& step, const kit::StepContext& context) override;
  // A former password is kept until the commit and no longer.
  absl::StatusOr<kit::Retrospect> LookBack(const kit::Step& step, const kit::StepContext& context) override;
  absl::StatusOr<kit::VerifyReport> Verify(const kit::VerifyInput& input) override;
  absl::Status Close(const std::string& run_id, bool committed) override;

 private:
  using Context = kit::StepContext;
  using Probed = absl::StatusOr<kit::ProbeResult>;

  // plan.cc: reading the state, and the plan.
  absl::StatusOr<SambaState> ReadState(const SambaSpec& spec, const kit::Ledger& ledger,
                                       const Secret& node_key);
  absl::Status CheckAhead(const SambaPlan& plan, const SambaState& state);

  // Of a user whom no share of the run was probed with: a login to one that lists the account.
  absl::Status VerifyPassword(const SetPassword& step, const Secret& password, kit::VerifyReport& report);

  // config_steps.cc: our file and smb.conf.
  absl::StatusOr<OwnFile> ReadOwn();
  // Changes our file by `edit`, reloads, and compares what Samba then reads by `differs` ("" means that it is
  // as wanted). Otherwise the former text is back and the answer is an error.
  absl::Status ChangeOwn(const std::string& change, const ChildObserver& observer,
                         const std::function<absl::Status(OwnFile&)>& edit,
                         const std::function<std::string(const ConfigDump&)>& differs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(config_mutex_);
  // For undo: writes our file by `edit` and reloads. What Samba then reads is not judged: what others wrote
  // meanwhile into smb.conf must not keep us from taking ours back.
  absl::Status PutBack(const ChildObserver& observer, const std::function<absl::Status(OwnFile&)>& edit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(config_mutex_);
  // Changes a share by `change`, then ends the sessions that this shuts out. Between the two it is on record
  // that they have yet to end: a crash or a tool that fails must not leave them in.
  absl::Status ChangeAndEnd(const std::string& share, Cut cut, const Context& context,
                            const std::function<absl::Status()>& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(config_mutex_);
  absl::StatusOr<bool> HasSessionsToEnd(const std::string& share, const Context& context);
  absl::Status CheckText(const std::string& text,
                         const std::function<std::string(const ConfigDump&)>& differs);
  absl::StatusOr<std::string> CaptureOf(const MakeOwnFile& step);
  absl::StatusOr<std::string> CaptureOf(const IncludeOwnFile& step);
  absl::StatusOr<std::string> CaptureOf(const SetGlobals& step);
  absl::StatusOr<std::string> CaptureOf(const SetShare& step);
  absl::StatusOr<std::string> CaptureOf(const RemoveShare& step);
  absl::StatusOr<std::string> CaptureShare(const std::string& name);
  absl::Status DoStep(const MakeOwnFile& step, const Context& context);
  absl::Status DoStep(const IncludeOwnFile& step, const Context& context);
  absl::Status DoStep(const SetGlobals& step, const Context& context);
  absl::Status DoStep(const SetShare& step, const Context& context);
  absl::Status DoStep(const RemoveShare& step, const Context& context);
  Probed ProbeOf(const MakeOwnFile& step, const Context& context);
  Probed ProbeOf(const IncludeOwnFile& step, const Context& context);
  Probed ProbeOf(const SetGlobals& step, const Context& context);
  Probed ProbeOf(const SetShare& step, const Context& context);
  Probed ProbeOf(const RemoveShare& step, const Context& context);
  absl::Status UndoStep(const MakeOwnFile& step, const Context& context);
  absl::Status UndoStep(const IncludeOwnFile& step, const Context& context);
  absl::Status UndoStep(const SetGlobals& step, const Context& context);
  absl::Status UndoStep(const SetShare& step, const Context& context);
  absl::Status UndoStep(const RemoveShare& step, const Context& context);

  // account_steps.cc: system accounts and passdb.
  // The groups, beside its own, that the account was in when captured and is in no more: userdel takes it out
  // of all.
  absl::StatusOr<std::vector<uint32_t>> MissingGroups(const std::string& name, const std::string& captured);
  absl::StatusOr<SambaEntry> EntryNow(const std::string& name, const Secret& node_key, bool& there);
  absl::StatusOr<std::string> CaptureOf(const AddAccount& step);
  absl::StatusOr<std::string> CaptureOf(const RemoveAccount& step);
  absl::StatusOr<std::string> CaptureOf(const SetPassword& step);
  absl::StatusOr<std::string> CaptureOf(const RemoveEntry& step);
  absl::Status DoStep(const AddAccount& step, const Context& context);
  absl::Status DoStep(const RemoveAccount& step, const Context& context);
  absl::Status DoStep(const SetPassword& step, const Context& context);
  absl::Status DoStep(const RemoveEntry& step, const Context& context);
  Probed ProbeOf(const AddAccount& step, const Context& context);
  Probed ProbeOf(const RemoveAccount& step, const Context& context);
  Probed ProbeOf(const SetPassword& step, const Context& context);
  Probed ProbeOf(const RemoveEntry& step, const Context& context);
  absl::Status UndoStep(const AddAccount& step, const Context& context);
  absl::Status UndoStep(const RemoveAccount& step, const Context& context);
  absl::Status UndoStep(const SetPassword& step, const Context& context);
  absl::Status UndoStep(const RemoveEntry& step, const Context& context);

  SambaHost& host_;
  Files& files_;
  node::NodeSteps& node_;
  SealedStore& sealed_;
  const SpecParser parser_;
  const SambaPaths paths_;
  // Our file is written whole: between reading and writing it nobody else may.
  absl::Mutex config_mutex_;
  // useradd and userdel refuse to run beside each other.
  absl::Mutex accounts_mutex_;
};

// HMAC of a hash in passdb: tells whether two passwords are the same, and nothing else without the node key.
std::string MacOf(const Secret& node_key, const Secret& nt_hash);

}  // namespace phoenix::samba

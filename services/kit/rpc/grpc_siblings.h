// Siblings over their unix sockets in the runtime directory.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/participant/participant.h"

namespace phoenix::kit {

class GrpcSiblings final : public Siblings {
 public:
  // `self`: the name of the participant that asks. `state_directory`: where each participant that ever ran on
  // this node has its journal.
  GrpcSiblings(std::string runtime_directory, std::string state_directory, std::string self)
      : runtime_directory_(std::move(runtime_directory)),
        state_directory_(std::move(state_directory)),
        self_(std::move(self)) {}
  absl::StatusOr<SiblingState> Get(const std::string& participant, const std::string& run_id) override;
  absl::Status JoinUndo(const std::string& participant, const std::string& run_id) override;
  absl::Status MayGo(const std::vector<std::string>& keys, const std::vector<std::string>& except) override;

 private:
  using Stub = participant::v1::ParticipantService::Stub;
  // Plans for a node of which nothing is wanted but that the keys go.
  absl::Status PlanWithout(const std::string& participant, const std::vector<std::string>& keys);
  Stub& StubOf(const std::string& participant);

  const std::string runtime_directory_;
  const std::string state_directory_;
  const std::string self_;
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Stub>> stubs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace phoenix::kit

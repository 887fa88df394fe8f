// Siblings over their unix sockets in the runtime directory.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <string>

#include "phoenix/participant/v1/participant.grpc.pb.h"
#include "services/kit/participant/participant.h"

namespace phoenix::kit {

class GrpcSiblings final : public Siblings {
 public:
  // `self`: the name of the participant that asks.
  GrpcSiblings(std::string runtime_directory, std::string self)
      : runtime_directory_(std::move(runtime_directory)), self_(std::move(self)) {}
  absl::StatusOr<SiblingState> Get(const std::string& participant, const std::string& run_id) override;
  absl::Status JoinUndo(const std::string& participant, const std::string& run_id) override;

 private:
  using Stub = participant::v1::ParticipantService::Stub;
  Stub& StubOf(const std::string& participant);

  const std::string runtime_directory_;
  const std::string self_;
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Stub>> stubs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace phoenix::kit

// Channels to the participants of a fleet, made once and kept.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "clients/cpp/participant_client.h"
#include "orchestrator/run/event.h"

namespace phoenix::fleet {

// Thread-safe.
class Channels {
 public:
  virtual ~Channels() = default;
  virtual absl::StatusOr<std::shared_ptr<client::ParticipantClient>> Get(const run::NodeAddress& node,
                                                                         const std::string& participant) = 0;
};

// "unix:DIR": DIR/<participant>.sock, plain. "HOST": HOST:<port of the participant>, mutual TLS; the node's
// certificate must carry the node's name, so that no node can pose as another.
class GrpcChannels final : public Channels {
 public:
  struct Tls {
    std::string ca, certificate, key;  // paths; read when the first TCP channel is made
  };
  explicit GrpcChannels(Tls tls) : tls_(std::move(tls)) {}
  absl::StatusOr<std::shared_ptr<client::ParticipantClient>> Get(const run::NodeAddress& node,
                                                                 const std::string& participant) override;

 private:
  const Tls tls_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<client::ParticipantClient>> clients_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace phoenix::fleet

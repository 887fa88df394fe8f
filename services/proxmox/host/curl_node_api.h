// The node's API through libcurl: HTTP on 127.0.0.1 and nowhere else.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/host/files.h"
#include "services/proxmox/host/api_connection.h"
#include "services/proxmox/host/node_api.h"

namespace phoenix::proxmox {

struct NodeApiSettings {
  std::string token_file = kTokenPath;
  // In a folder of our own: which request was on its way when the daemon ended.
  std::string sent_file;
  // Below 1024, so that nobody but root can listen there and be told the token.
  uint16_t port = 85;
  uint32_t token_owner = 0;
  // As long as pvesm may take.
  std::chrono::milliseconds change_limit{std::chrono::minutes(3)};
  std::chrono::milliseconds read_limit{std::chrono::seconds(15)};
  std::chrono::milliseconds settle_limit{std::chrono::minutes(3)};
};

class CurlNodeApi final : public NodeApi {
 public:
  // `files` must outlive the object. An error where it cannot be read whether a request was on its way.
  static absl::StatusOr<std::unique_ptr<CurlNodeApi>> Open(Files& files, NodeApiSettings settings);

  absl::StatusOr<std::optional<ApiToken>> Token() override;
  absl::StatusOr<std::optional<ApiAnswer>> Send(const ApiRequest& request, const ApiToken& token) override;
  absl::Status Settle() override;

 private:
  CurlNodeApi(Files& files, NodeApiSettings settings);
  absl::Status NoteSent(uint16_t client_port);

  Files& files_;
  const NodeApiSettings settings_;
  const std::string boot_id_;
  absl::Mutex send_mutex_ ABSL_ACQUIRED_BEFORE(unsettled_mutex_);
  absl::Mutex unsettled_mutex_;
  // Client port of a request whose end nobody saw.
  std::optional<uint16_t> unsettled_ ABSL_GUARDED_BY(unsettled_mutex_);
};

}  // namespace phoenix::proxmox

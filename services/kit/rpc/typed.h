// What every typed domain service does around its own conversions: serve, page, change.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/participant/participant.h"
#include "services/kit/rpc/dispatcher.h"
#include "services/kit/rpc/page.h"

namespace phoenix::kit {

// One typed service: its name, its participant, its place to run.
class TypedService {
 public:
  // `service`: "phoenix.nfs.v1.NfsService".
  TypedService(Participant& participant, Dispatcher& dispatcher, std::string service)
      : participant_(participant),
        dispatcher_(dispatcher),
        service_(std::move(service)),
        error_domain_(participant.domain().Describe().participant + ".phoenix") {}

  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context, const char* method,
                                 std::function<absl::Status(const Caller&)> body) {
    return dispatcher_.Serve(context, service_, method, Lane::kRead, error_domain_, std::move(body));
  }
  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext* context, const char* method,
                                   std::function<absl::Status(const Caller&)> body) {
    return dispatcher_.Serve(context, service_, method, Lane::kChange, error_domain_, std::move(body));
  }

  // A typed mutation by the one road: spec -> plan -> worker. `spec` must be partial: it names only what is
  // changed.
  template <class Spec, class Request>
  absl::StatusOr<Plan> Apply(const Spec& spec, const Request& request, Secrets secrets = {}) {
    LocalChange change;
    change.wanted.spec_type = spec.GetTypeName();
    change.wanted.spec = spec.SerializeAsString();
    change.wanted.secrets = std::move(secrets);
    change.request_id = request.request_id();
    change.validate_only = request.validate_only();
    return participant_.ChangeLocally(std::move(change));
  }

  absl::StatusOr<Ledger> ReadLedger() { return participant_.journal().ReadLedger(); }

 private:
  Participant& participant_;
  Dispatcher& dispatcher_;
  const std::string service_;
  const std::string error_domain_;
};

// Fills one page of `all` into the response with `add(element)`.
template <class Request, class Response, class Element, class Add>
absl::Status FillPage(const Request& request, Response& response, const std::vector<Element>& all, Add add) {
  PHX_ASSIGN_OR_RETURN(const Page page, PageOf(all.size(), request.page_size(), request.page_token(), 100));
  for (size_t i = page.begin; i < page.end; ++i) add(all[i]);
  response.set_next_page_token(page.next_token);
  return absl::OkStatus();
}

// ABORTED where the caller knew another state of the resource.
inline absl::Status CheckEtag(const std::string& wanted, const std::string& found, const std::string& name) {
  if (wanted.empty() || wanted == found) return absl::OkStatus();
  return WithReason(Aborted("{} changed since it was read; read it again", name),
                    {"ETAG_MISMATCH", {{"etag", found}}});
}

inline bool IsCreated(const Ledger& ledger, const std::string& key) {
  const auto entry = ledger.find(key);
  return entry != ledger.end() && entry->second.created;
}

}  // namespace phoenix::kit

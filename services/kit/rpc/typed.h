// What every typed domain service does around its own conversions: serve, page, change.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/kit/participant/participant.h"
#include "services/kit/rpc/answers.h"
#include "services/kit/rpc/dispatcher.h"
#include "services/kit/rpc/page.h"

namespace phoenix::kit {

// What a typed service stands on. All of it must outlive the service.
struct TypedGround {
  Participant& participant;
  Dispatcher& dispatcher;
  Answers& answers;
};

// One typed service: its name, its participant, its place to run.
class TypedService {
 public:
  // `service`: "phoenix.nfs.v1.NfsService".
  TypedService(TypedGround ground, std::string service)
      : ground_(ground),
        service_(std::move(service)),
        error_domain_(ground.participant.domain().Describe().participant + ".phoenix") {}

  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context, const char* method,
                                 std::function<absl::Status(const Caller&)> body) {
    return ground_.dispatcher.Serve(context, service_, method, Lane::kRead, error_domain_, std::move(body));
  }

  // `body` fills the response; the violations of its error are told as fields of the request. It is not
  // called where the request's id was answered before: the first answer is given again.
  template <class Request, class Response>
  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext* context, const char* method,
                                   const Request* request, Response* response,
                                   std::function<absl::Status()> body) {
    return ground_.dispatcher.Serve(context, service_, method, Lane::kChange, error_domain_,
                                    [=, this, body = std::move(body)](const Caller&) {
                                      // What only checks uses no id up.
                                      const std::string id =
                                          request->validate_only() ? "" : request->request_id();
                                      return AnswerOnce(method, *request, id, *response, body);
                                    });
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
    return ground_.participant.ChangeLocally(std::move(change));
  }

  // ALREADY_EXISTS where `read`, an attempt to read what is to be created, found it; `what` names it. OK
  // where this very request may have made it: then the journal answers.
  template <class Request>
  absl::Status RefuseExisting(const Request& request, const absl::Status& read, const std::string& what) {
    return RefuseExisting(request.request_id(), read, what);
  }

  absl::StatusOr<Ledger> ReadLedger() { return ground_.participant.journal().ReadLedger(); }

 private:
  absl::Status AnswerOnce(const std::string& method, const google::protobuf::Message& request,
                          const std::string& request_id, google::protobuf::Message& response,
                          const std::function<absl::Status()>& body);
  absl::Status RefuseExisting(const std::string& request_id, const absl::Status& read,
                              const std::string& what);

  const TypedGround ground_;
  const std::string service_;
  const std::string error_domain_;
};

// The same error with every violation's field as one of the request. The domains name fields of their specs,
// and steps, files and other objects, none of which the caller sent: then the object that he asked about is
// named, "share.path" or just "share"; the description says the rest.
absl::Status InRequest(const absl::Status& status, const google::protobuf::Message& request);

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

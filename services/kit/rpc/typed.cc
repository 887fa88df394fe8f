#include "services/kit/rpc/typed.h"

#include <spdlog/spdlog.h>

namespace phoenix::kit {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// "b" of "a[0].b.c" after "a".
std::string_view NextPart(std::string_view path) {
  const auto dot = path.find('.');
  if (dot == std::string_view::npos) return {};
  path.remove_prefix(dot + 1);
  return path.substr(0, path.find_first_of(".["));
}

bool HasField(const Descriptor* message, std::string_view name) {
  return message->FindFieldByName(std::string(name)) != nullptr;
}

std::string FieldIn(const Descriptor* request, const std::string& field) {
  // The first field of every request is the object, or its name.
  const FieldDescriptor* object = request->FindFieldByNumber(1);
  const Descriptor* message = object->message_type();
  const std::string_view first = std::string_view(field).substr(0, field.find_first_of(".["));
  if (first == object->name()) {
    const bool known = message != nullptr && (field == first || HasField(message, NextPart(field)));
    return known ? field : object->name();
  }
  if (HasField(request, first)) return field;
  if (message != nullptr && HasField(message, first)) return object->name() + "." + field;
  return object->name();
}

}  // namespace

absl::Status InRequest(const absl::Status& status, const google::protobuf::Message& request) {
  std::vector<FieldViolation> violations = ViolationsOf(status);
  if (violations.empty()) return status;
  for (FieldViolation& violation : violations)
    violation.field = FieldIn(request.GetDescriptor(), violation.field);
  return WithViolations(status, violations);
}

absl::Status TypedService::AnswerOnce(const std::string& method, const google::protobuf::Message& request,
                                      const std::string& request_id, google::protobuf::Message& response,
                                      const std::function<absl::Status()>& body) {
  if (request_id.empty()) return InRequest(body(), request);
  const std::string full_name = service_ + "." + method;
  PHX_ASSIGN_OR_RETURN(const bool answered, ground_.answers.Find(full_name, request, request_id, response));
  if (answered) return absl::OkStatus();
  PHX_RETURN_IF_ERROR(InRequest(body(), request));
  // The change is done and journaled with its id: a lost answer must not make it look failed. Repeated, the
  // request is then answered by what is there.
  if (const absl::Status kept = ground_.answers.Keep(full_name, request, request_id, response); !kept.ok()) {
    spdlog::warn("the answer to {} {} is not kept: {}", full_name, request_id, Message(kept));
  }
  return absl::OkStatus();
}

absl::Status TypedService::RefuseExisting(const std::string& request_id, const absl::Status& read,
                                          const std::string& what) {
  if (absl::IsNotFound(read)) return absl::OkStatus();
  PHX_RETURN_IF_ERROR(read);
  PHX_ASSIGN_OR_RETURN(const auto known, ground_.participant.journal().FindByRequest(request_id));
  return known ? absl::OkStatus() : AlreadyExists("{} is there already", what);
}

}  // namespace phoenix::kit

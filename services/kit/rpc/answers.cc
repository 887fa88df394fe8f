#include "services/kit/rpc/answers.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <vector>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::kit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kSchema[] =
    "CREATE TABLE IF NOT EXISTS answers(serial INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL "
    "UNIQUE,"
    " request TEXT NOT NULL, response BLOB NOT NULL)";

// Secrets travel as bytes and nothing else does: whoever reads a digest on the disk must not be able to try
// passwords on it.
void ClearBytes(Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->type() == FieldDescriptor::TYPE_BYTES) {
      reflection->ClearField(&message, field);
    } else if (field->type() == FieldDescriptor::TYPE_MESSAGE && field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i)
        ClearBytes(*reflection->MutableRepeatedMessage(&message, field, i));
    } else if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
      ClearBytes(*reflection->MutableMessage(&message, field));
    }
  }
}

// Equal for equal requests, whatever the order of their maps.
std::string DigestOf(const std::string& method, const Message& request) {
  const std::unique_ptr<Message> rest(request.New());
  rest->CopyFrom(request);
  ClearBytes(*rest);
  std::string text = method + "\n";
  {
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    rest->SerializeToCodedStream(&coded);
  }
  return Sha256Hex(text);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Answers>> Answers::Open(const std::string& directory, int limit,
                                                       DatabaseOptions options) {
  PHX_ASSIGN_OR_RETURN(auto database, Database::Open(directory + "/answers.db", std::move(options)));
  PHX_RETURN_IF_ERROR(database->Transaction([](Database& db) { return db.Execute(kSchema); }));
  return std::unique_ptr<Answers>(new Answers(std::move(database), limit));
}

absl::StatusOr<bool> Answers::Find(const std::string& method, const Message& request,
                                   const std::string& request_id, Message& response) {
  bool found = false;
  PHX_RETURN_IF_ERROR(database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto select,
                         db.Prepare("SELECT request, response FROM answers WHERE request_id=?1"));
    PHX_ASSIGN_OR_RETURN(found, select.Bind(1, request_id).Step());
    if (!found) return absl::OkStatus();
    if (select.Text(0) != DigestOf(method, request)) {
      return WithViolations(InvalidArgument("another request had the id {}", request_id),
                            {{"request_id", "must be a new UUID for each request"}});
    }
    if (!response.ParseFromString(select.Text(1)))
      return DataLoss("the answer kept for {} is damaged", request_id);
    return absl::OkStatus();
  }));
  return found;
}

absl::Status Answers::Keep(const std::string& method, const Message& request, const std::string& request_id,
                           const Message& response) {
  return database_->Transaction([&](Database& db) -> absl::Status {
    PHX_ASSIGN_OR_RETURN(auto insert,
                         db.Prepare("INSERT OR IGNORE INTO answers(request_id, request, response) "
                                    "VALUES(?1, ?2, ?3)"));
    PHX_RETURN_IF_ERROR(insert.Bind(1, request_id)
                            .Bind(2, DigestOf(method, request))
                            .BindBlob(3, response.SerializeAsString())
                            .Step()
                            .status());
    PHX_ASSIGN_OR_RETURN(auto forget, db.Prepare("DELETE FROM answers WHERE serial <= "
                                                 "(SELECT max(serial) FROM answers) - ?1"));
    return forget.Bind(1, int64_t{limit_}).Step().status();
  });
}

}  // namespace phoenix::kit

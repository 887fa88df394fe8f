// What typed changes answered, by request id: the same request again gets its first answer, though what it
// made was changed since, or what it took away is gone.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <utility>

#include "base/sqlite/database.h"

namespace phoenix::kit {

inline constexpr int kKeptAnswers = 10'000;

// Thread-safe. Answers hold no secrets. The newest `limit` are kept.
class Answers {
 public:
  // Opens or creates `directory`/answers.db.
  static absl::StatusOr<std::unique_ptr<Answers>> Open(const std::string& directory, int limit = kKeptAnswers,
                                                       DatabaseOptions options = {});

  // True, and `response` filled, where this request was answered before. INVALID_ARGUMENT where another
  // request had its id. `method`: the full name.
  absl::StatusOr<bool> Find(const std::string& method, const google::protobuf::Message& request,
                            const std::string& request_id, google::protobuf::Message& response);
  absl::Status Keep(const std::string& method, const google::protobuf::Message& request,
                    const std::string& request_id, const google::protobuf::Message& response);

 private:
  Answers(std::unique_ptr<Database> database, int limit) : database_(std::move(database)), limit_(limit) {}
  std::unique_ptr<Database> database_;
  const int limit_;
};

}  // namespace phoenix::kit

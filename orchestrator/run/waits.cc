#include "orchestrator/run/waits.h"

#include <absl/time/time.h>
#include <fmt/format.h>

#include <algorithm>

namespace phoenix::run {
namespace {

constexpr int64_t kSilentSeconds = 3;
constexpr int64_t kSlowSeconds = 30;
constexpr int64_t kTellAgainSeconds = 60;

}  // namespace

std::string_view CallOf(Command::Kind kind) {
  switch (kind) {
    case Command::Kind::kPrepare:
      return "Prepare";
    case Command::Kind::kApply:
      return "Apply";
    case Command::Kind::kVerify:
      return "Verify";
    case Command::Kind::kAwaitConfirm:
      return "AwaitConfirm";
    case Command::Kind::kPrepareCommit:
      return "PrepareCommit";
    case Command::Kind::kCommit:
      return "Commit";
    case Command::Kind::kUndo:
      return "Undo";
    case Command::Kind::kAppend:
    case Command::Kind::kPlan:
      break;
  }
  return "";
}

std::vector<Wait> Notable(const std::vector<Wait>& waits) {
  std::vector<Wait> notable;
  std::copy_if(waits.begin(), waits.end(), std::back_inserter(notable), [](const Wait& wait) {
    return wait.seconds >= (wait.problem.empty() ? kSlowSeconds : kSilentSeconds);
  });
  return notable;
}

std::string Describe(const Wait& wait) {
  return fmt::format("waits for {} since {}: {}", ToText(wait.who),
                     absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(wait.since_seconds),
                                      absl::UTCTimeZone()),
                     wait.problem.empty() ? wait.call + " has no answer yet" : wait.problem);
}

std::vector<Wait> WaitNotices::Due(const std::vector<Wait>& waits, int64_t now_seconds) {
  std::map<std::pair<ParticipantId, std::string>, int64_t> told;
  std::vector<Wait> due;
  for (const Wait& wait : Notable(waits)) {
    const std::pair key(wait.who, wait.call);
    const auto before = told_.find(key);
    if (before != told_.end() && now_seconds - before->second < kTellAgainSeconds) {
      told[key] = before->second;
      continue;
    }
    told[key] = now_seconds;
    due.push_back(wait);
  }
  // Whoever answered meanwhile is forgotten: his next silence is news.
  told_ = std::move(told);
  return due;
}

}  // namespace phoenix::run

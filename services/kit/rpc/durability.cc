#include "services/kit/rpc/durability.h"

#include <absl/time/clock.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/status/errors.h"

namespace phoenix::kit {

void AddReserveFlag(CLI::App& app, std::optional<int>& mebibytes) {
  app.add_option(
         "--journal-reserve", mebibytes,
         fmt::format("MiB held back beside the journal for a full disk ({}; {} for a service with --sim)",
                     kReserveMebibytes, kSimReserveMebibytes))
      ->check(CLI::PositiveNumber);
}

std::unique_ptr<Reserve> HoldReserve(const std::string& directory, int mebibytes) {
  auto reserve = std::make_unique<FileReserve>(directory + "/reserve", int64_t{mebibytes} << 20);
  if (const absl::Status held = reserve->Hold(); !held.ok()) spdlog::error("{}", Message(held));
  return reserve;
}

DatabaseOptions DurableOptions(Reserve& reserve) {
  DatabaseOptions options;
  options.reserve = &reserve;
  // A step back that finds no room is tried again many times a second.
  options.on_full = [said = absl::InfinitePast()](const absl::Status& status) mutable {
    if (absl::Now() - said < absl::Minutes(1)) return;
    said = absl::Now();
    spdlog::error("{}", Message(status));
  };
  options.on_broken = [](const absl::Status& status) {
    spdlog::critical("{}; this process ends at once, so that the next one reads what is on the disk",
                     Message(status));
    // Nothing is cleaned up: what this process believes may be wrong.
    ::_exit(1);
  };
  return options;
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  return status.code() == absl::StatusCode::kDataLoss ? kExitDataLoss : 1;
}

}  // namespace phoenix::kit

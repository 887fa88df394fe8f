// What every database of a daemon stands on: the reserve beside it, and the end of the process where the disk
// cannot be trusted.
#pragma once

#include <absl/status/status.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/sqlite/database.h"

namespace phoenix::kit {

// How much is held back unless a flag says otherwise. A simulated machine shares its disk with many others.
inline constexpr int kReserveMebibytes = 64;
inline constexpr int kSimReserveMebibytes = 1;

// The exit code of a daemon whose journal is damaged: no restart helps, so the units do not try.
inline constexpr int kExitDataLoss = 65;

// Adds --journal-reserve to a daemon's flags.
void AddReserveFlag(CLI::App& app, std::optional<int>& mebibytes);

// `directory`/reserve, made now: before the daemon writes anything else. A daemon without it serves reads,
// finishes or undoes what is open, refuses what is new, and says so in its log.
std::unique_ptr<Reserve> HoldReserve(const std::string& directory, int mebibytes);

// An error of the disk or a damaged page ends the process; systemd starts it again, and it reads what is
// there.
DatabaseOptions DurableOptions(Reserve& reserve);

int ExitCodeOf(const absl::Status& status);

}  // namespace phoenix::kit

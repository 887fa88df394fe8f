// The spec that asks a participant to take a committed run back: its content is the run's id. Every
// participant accepts it besides the specs of its domain.
#pragma once

namespace phoenix::kit {

inline constexpr char kReversalType[] = "phoenix.participant.v1.Reversal";

}  // namespace phoenix::kit

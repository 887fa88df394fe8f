#include "base/host/command.h"

#include "base/status/errors.h"

namespace phoenix {
namespace {

bool NeedsQuotes(const std::string& word) {
  return word.empty() || word.find_first_of(" \t\"'$\\|&;<>()*?`") != std::string::npos;
}

}  // namespace

std::string ShellWord(const std::string& word) {
  if (!NeedsQuotes(word)) return word;
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string ToText(const Command& command) {
  // People type "zfs", not "/usr/sbin/zfs".
  std::string text = ShellWord(command.program.substr(command.program.rfind('/') + 1));
  for (const auto& arg : command.args) text += ' ' + ShellWord(arg);
  if (!command.secret_input.empty()) text += " < (secret)";
  return text;
}

absl::Status ExitStatus(const Command& command, const CommandResult& result) {
  if (result.exit_code == 0) return absl::OkStatus();
  std::string reason = result.err.empty() ? result.out : result.err;
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  for (char& c : reason) {
    if (c == '\n') c = ';';
  }
  return Internal("`{}` failed with exit code {}: {}", ToText(command), result.exit_code,
                  reason.empty() ? "it said nothing" : reason);
}

}  // namespace phoenix

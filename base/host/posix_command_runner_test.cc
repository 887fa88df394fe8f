#include "base/host/posix_command_runner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/status/errors.h"

namespace phoenix {
namespace {

std::string Launcher() {
  const char* program = std::getenv("PHOENIX_LAUNCH");
  return program == nullptr ? "" : program;
}

TEST(PosixCommandRunner, GivesInputAndTakesBothOutputs) {
  PosixCommandRunner runner(Launcher());
  Command command{.program = "/bin/sh", .args = {"-c", "cat; echo oops >&2; exit 3"}};
  command.input = std::string(300'000, 'x');
  const auto result = runner.Run(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out.size(), 300'000u);
  EXPECT_EQ(result->err, "oops\n");
}

TEST(PosixCommandRunner, SecretInputIsNeverPartOfTheText) {
  Command command{.program = "/usr/bin/smbpasswd", .args = {"-s", "-a", "heads"}};
  command.secret_input = Secret("hunter2\nhunter2\n");
  EXPECT_EQ(ToText(command), "smbpasswd -s -a heads < (secret)");
}

TEST(PosixCommandRunner, EnvironmentIsFixed) {
  ::setenv("PHOENIX_LEAK", "1", 1);
  PosixCommandRunner runner(Launcher());
  const auto result = runner.Run({.program = "/usr/bin/env"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->out.find("PHOENIX_LEAK"), std::string::npos);
  EXPECT_NE(result->out.find("LC_ALL=C.UTF-8"), std::string::npos);
}

TEST(PosixCommandRunner, ChildWaitsUntilItIsObserved) {
  PosixCommandRunner runner(Launcher());
  ChildIdentity seen;
  const auto result =
      runner.Run({.program = "/bin/sh", .args = {"-c", "echo $$"}}, [&](const ChildIdentity& child) {
        seen = child;
        EXPECT_TRUE(IsRunning(child));
        std::ifstream comm("/proc/" + std::to_string(child.pid) + "/comm");
        std::string name;
        comm >> name;
        EXPECT_NE(name, "sh") << "the program ran before it was observed";
        return absl::OkStatus();
      });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, std::to_string(seen.pid) + "\n");
  EXPECT_FALSE(IsRunning(seen));
}

TEST(PosixCommandRunner, ARefusedChildExecutesNothing) {
  PosixCommandRunner runner(Launcher());
  const std::string witness = "/tmp/phoenix-witness-" + std::to_string(::getpid());
  const auto result = runner.Run({.program = "/usr/bin/touch", .args = {witness}},
                                 [](const ChildIdentity&) { return Aborted("journal is full"); });
  EXPECT_EQ(result.status().code(), absl::StatusCode::kAborted);
  EXPECT_NE(::access(witness.c_str(), F_OK), 0);
}

TEST(PosixCommandRunner, HangingCommandIsEndedWhereThatIsSafe) {
  PosixCommandRunner runner(Launcher());
  Command command{.program = "/bin/sleep", .args = {"600"}};
  command.limit = std::chrono::seconds(1);
  EXPECT_EQ(runner.Run(command).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(PosixCommandRunner, RelativeProgramsAreRefused) {
  PosixCommandRunner runner(Launcher());
  EXPECT_FALSE(runner.Run({.program = "true"}).ok());
}

TEST(PosixCommandRunner, DescriptorsDoNotLeakIntoChildren) {
  PosixCommandRunner runner(Launcher());
  const auto result = runner.Run({.program = "/bin/ls", .args = {"/proc/self/fd"}},
                                 [](const ChildIdentity&) { return absl::OkStatus(); });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->out, "0\n1\n2\n3\n") << "3 is the folder that ls itself reads";
}

}  // namespace
}  // namespace phoenix

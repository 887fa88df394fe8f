#include "base/host/posix_command_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix {
namespace {

using std::chrono::steady_clock;

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  return Pipe{Descriptor(fds[0]), Descriptor(fds[1])};
}

uint64_t ReadStartTime(int64_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::stringstream text;
  text << stat.rdbuf();
  const std::string line = text.str();
  // The command name may hold blanks and brackets: count fields from the last bracket.
  const auto bracket = line.rfind(')');
  if (bracket == std::string::npos) return 0;
  std::istringstream fields(line.substr(bracket + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

// The attributes and file actions of one spawn.
class SpawnSetup {
 public:
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // The daemon blocks SIGTERM and ignores SIGPIPE; a child must not inherit either. An own process group
    // keeps a terminal's Ctrl-C away from tools in mid-work.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  void Give(int ours, int theirs) { posix_spawn_file_actions_adddup2(&actions_, ours, theirs); }
  // Nothing else of ours reaches the child, however it was opened.
  void CloseFrom(int fd) { posix_spawn_file_actions_addclosefrom_np(&actions_, fd); }
  absl::StatusOr<pid_t> Spawn(const std::string& program, const std::vector<std::string>& argv,
                              const std::vector<std::string>& environment) {
    std::vector<char*> argv_pointers, environment_pointers;
    for (const auto& word : argv) argv_pointers.push_back(const_cast<char*>(word.c_str()));
    for (const auto& word : environment) environment_pointers.push_back(const_cast<char*>(word.c_str()));
    argv_pointers.push_back(nullptr);
    environment_pointers.push_back(nullptr);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, argv_pointers.data(),
                                    environment_pointers.data());
    if (error != 0) return ErrnoStatus(error, fmt::format("cannot start {}", program));
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

int OpenPidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

// Feeds input and collects output until the child ended and its pipes are drained, or `deadline`.
// False when the deadline came first.
bool Converse(Descriptor stdin_pipe, Descriptor stdout_pipe, Descriptor stderr_pipe, const Descriptor& pidfd,
              const std::string& input, steady_clock::time_point deadline, CommandResult& result) {
  size_t written = 0;
  bool ended = false;
  ::fcntl(stdin_pipe.get(), F_SETFL, O_NONBLOCK);
  if (input.empty()) stdin_pipe.Close();
  std::array<char, 65536> buffer{};
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return false;
    // A grandchild may keep the pipes open for ever: after the child's end only what is there already is
    // read.
    pollfd fds[4] = {{ended ? -1 : pidfd.get(), POLLIN, 0},
                     {stdout_pipe.get(), POLLIN, 0},
                     {stderr_pipe.get(), POLLIN, 0},
                     {stdin_pipe.get(), POLLOUT, 0}};
    const int ready = ::poll(fds, 4, ended ? 0 : static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready == 0 && ended) return true;
    if (fds[3].revents != 0) {
      const ssize_t count = ::write(stdin_pipe.get(), input.data() + written, input.size() - written);
      if (count > 0) written += static_cast<size_t>(count);
      if ((count < 0 && errno != EAGAIN) || written == input.size()) stdin_pipe.Close();
    }
    for (int i : {1, 2}) {
      if (fds[i].revents == 0) continue;
      Descriptor& pipe = i == 1 ? stdout_pipe : stderr_pipe;
      const ssize_t count = ::read(pipe.get(), buffer.data(), buffer.size());
      if (count > 0) (i == 1 ? result.out : result.err).append(buffer.data(), static_cast<size_t>(count));
      if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) pipe.Close();
    }
    if (fds[0].revents != 0) ended = true;
    if (ended && stdout_pipe.get() < 0 && stderr_pipe.get() < 0) return true;
  }
}

int Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string ReadBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

bool IsRunning(const ChildIdentity& child) {
  return child.pid > 0 && child.boot_id == ReadBootId() && child.start_time != 0 &&
         ReadStartTime(child.pid) == child.start_time;
}

bool WaitForEnd(const ChildIdentity& child, std::chrono::seconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (IsRunning(child)) {
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

PosixCommandRunner::PosixCommandRunner(std::string launcher)
    : launcher_(std::move(launcher)), boot_id_(ReadBootId()) {
  // A tool that closes its standard input early must not end the daemon.
  ::signal(SIGPIPE, SIG_IGN);
}

absl::StatusOr<CommandResult> PosixCommandRunner::Run(const Command& command, const ChildObserver& observer) {
  if (command.program.empty() || command.program[0] != '/') {
    return Internal("command '{}' is not an absolute path", command.program);
  }
  PHX_ASSIGN_OR_RETURN(Pipe in, MakePipe());
  PHX_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  PHX_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  PHX_ASSIGN_OR_RETURN(Pipe release, MakePipe());

  SpawnSetup setup;
  // dup2 onto the same number would keep close-on-exec: our pipes always lie above 3, since 0-2 are open in a
  // daemon, except possibly one at 3 itself, which the launcher's descriptor would overwrite. Give() goes
  // through high numbers.
  Descriptor in_high(::fcntl(in.read.get(), F_DUPFD_CLOEXEC, 10)),
      out_high(::fcntl(out.write.get(), F_DUPFD_CLOEXEC, 10)),
      err_high(::fcntl(err.write.get(), F_DUPFD_CLOEXEC, 10)),
      release_high(::fcntl(release.read.get(), F_DUPFD_CLOEXEC, 10));
  setup.Give(in_high.get(), 0);
  setup.Give(out_high.get(), 1);
  setup.Give(err_high.get(), 2);
  std::vector<std::string> argv;
  if (observer) {
    setup.Give(release_high.get(), 3);
    argv.push_back(launcher_);
  }
  setup.CloseFrom(observer ? 4 : 3);
  argv.push_back(command.program);
  argv.insert(argv.end(), command.args.begin(), command.args.end());
  std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                                          "LANG=C.UTF-8", "HOME=/root", "TZ=UTC"};
  environment.insert(environment.end(), command.environment.begin(), command.environment.end());
  PHX_ASSIGN_OR_RETURN(const pid_t pid, setup.Spawn(argv[0], argv, environment));

  in.read.Close();
  out.write.Close();
  err.write.Close();
  release.read.Close();
  in_high.Close();
  out_high.Close();
  err_high.Close();
  release_high.Close();

  Descriptor pidfd(OpenPidfd(pid));
  if (observer) {
    absl::Status observed = observer(ChildIdentity{pid, ReadStartTime(pid), boot_id_});
    // Closing the pipe without a byte tells the launcher to end.
    if (observed.ok() && ::write(release.write.get(), "g", 1) != 1) {
      release.write.Close();
      Reap(pid);
      return Internal("cannot release `{}`", ToText(command));
    }
    release.write.Close();
    if (!observed.ok()) {
      Reap(pid);
      return observed;
    }
  }

  CommandResult result;
  const std::string& input = command.secret_input.empty() ? command.input : command.secret_input.Reveal();
  const bool ended = Converse(std::move(in.write), std::move(out.read), std::move(err.read), pidfd, input,
                              steady_clock::now() + command.limit, result);
  if (!ended) {
    if (command.kill_at_limit) {
      ::kill(-pid, SIGKILL);
      Reap(pid);
      return DeadlineExceeded("`{}` hung for {} s and was ended", ToText(command), command.limit.count());
    }
    // Killing it would be worse than waiting: a thread reaps it whenever it ends.
    std::thread([pid] { Reap(pid); }).detach();
    return DeadlineExceeded("`{}` hangs for {} s and goes on", ToText(command), command.limit.count());
  }
  result.exit_code = Reap(pid);
  return result;
}

}  // namespace phoenix

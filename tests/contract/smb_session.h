// A real client that stays connected to a share: an interactive smbclient, which is asked again and again.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>

namespace phoenix::samba {

class SmbSession {
 public:
  // nullptr where the client is refused, or does not come up within a minute.
  static std::unique_ptr<SmbSession> Open(const std::string& share, const std::string& user,
                                          const std::string& password) {
    std::unique_ptr<SmbSession> session(new SmbSession(share, user, password));
    const std::string greeting = session->ReadToPrompt();
    if (greeting.find(kPrompt) == std::string::npos || !session->Goes()) return nullptr;
    return session;
  }
  ~SmbSession() {
    ::close(to_);
    ::close(from_);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  SmbSession(const SmbSession&) = delete;
  SmbSession& operator=(const SmbSession&) = delete;

  // What the client says to a command, up to its next prompt.
  std::string Ask(const std::string& command) {
    const std::string line = command + "\n";
    if (::write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return "NT_STATUS_GONE";
    return ReadToPrompt();
  }
  bool Goes() {
    const std::string answer = Ask("ls");
    return answer.find(kPrompt) != std::string::npos && answer.find("NT_STATUS_") == std::string::npos;
  }

 private:
  static constexpr char kPrompt[] = "smb: \\> ";
  static constexpr int kPatienceMs = 60'000;

  SmbSession(const std::string& share, const std::string& user, const std::string& password) {
    std::array<int, 2> in{}, out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) std::abort();
    // Nothing is allocated in the child.
    const std::string address = "//127.0.0.1/" + share, login = user + "%" + password;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::dup2(out[1], 2);
      ::setenv("CLI_FORCE_INTERACTIVE", "1", 1);
      ::execl("/usr/bin/smbclient", "smbclient", address.c_str(), "-U", login.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
    // A client that is gone is an answer, not the end of the test.
    ::signal(SIGPIPE, SIG_IGN);
  }

  std::string ReadToPrompt() {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.find(kPrompt) == std::string::npos) {
      pollfd ready{from_, POLLIN, 0};
      if (::poll(&ready, 1, kPatienceMs) <= 0) return text;
      const ssize_t count = ::read(from_, buffer.data(), buffer.size());
      if (count <= 0) return text;
      text.append(buffer.data(), static_cast<size_t>(count));
    }
    return text;
  }

  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;
};

}  // namespace phoenix::samba

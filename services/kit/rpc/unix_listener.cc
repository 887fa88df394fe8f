#include "services/kit/rpc/unix_listener.h"

#include <fcntl.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/status/errors.h"

namespace phoenix::kit {
namespace {

constexpr char kSystemUser[] = "phoenix";

// The uid of the system user, or -1 where there is none. Asked each time: the user may be made while we run.
uid_t SystemUid(gid_t* gid) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(kSystemUser, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return static_cast<uid_t>(-1);
  }
  if (gid != nullptr) *gid = entry.pw_gid;
  return entry.pw_uid;
}

bool MayCall(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  const bool allowed = peer.uid == 0 || peer.uid == ::geteuid() || peer.uid == SystemUid(nullptr);
  if (!allowed) spdlog::warn("refused a connection of uid {} (pid {})", peer.uid, peer.pid);
  return allowed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UnixListener>> UnixListener::Bind(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return InvalidArgument("the socket path {} is longer than the {} characters that Linux allows", path,
                           sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int lock_fd = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd < 0) return ErrnoStatus(errno, path + ".lock");
  if (::flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_fd);
    return FailedPrecondition("another daemon serves {} already", path);
  }
  ::unlink(path.c_str());
  const int listen_fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listen_fd < 0) {
    const int error = errno;
    ::close(lock_fd);
    return ErrnoStatus(error, "a unix socket");
  }
  // 0660 from the first moment on: the credentials are checked in any case, the mode keeps strangers from
  // connecting.
  const mode_t former = ::umask(0117);
  const int bound = ::bind(listen_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int bind_error = errno;
  ::umask(former);
  if (bound != 0 || ::listen(listen_fd, 64) != 0) {
    const int error = bound != 0 ? bind_error : errno;
    ::close(listen_fd);
    ::close(lock_fd);
    return ErrnoStatus(error, path);
  }
  gid_t gid = 0;
  if (::geteuid() == 0 && SystemUid(&gid) != static_cast<uid_t>(-1) && ::chown(path.c_str(), 0, gid) != 0) {
    spdlog::warn("{}: cannot give the socket to group {}: {}", path, gid, std::strerror(errno));
  }
  int wake[2];
  if (::pipe2(wake, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  return std::unique_ptr<UnixListener>(new UnixListener(path, lock_fd, listen_fd, wake[0], wake[1]));
}

void UnixListener::Start(grpc::Server* server) {
  thread_ = std::thread([this, server] { Loop(server); });
}

void UnixListener::Loop(grpc::Server* server) {
  while (true) {
    pollfd fds[2] = {{listen_fd_, POLLIN, 0}, {wake_read_, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue;
    const int connection = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0) continue;
    if (!MayCall(connection)) {
      ::close(connection);
      continue;
    }
    grpc::AddInsecureChannelFromFd(server, connection);
  }
}

void UnixListener::Stop() {
  if (!thread_.joinable()) return;
  if (::write(wake_write_, "x", 1) != 1) spdlog::error("cannot wake the listener of {}", path_);
  thread_.join();
}

UnixListener::~UnixListener() {
  Stop();
  ::unlink(path_.c_str());
  for (const int fd : {listen_fd_, wake_read_, wake_write_, lock_fd_}) ::close(fd);
}

}  // namespace phoenix::kit

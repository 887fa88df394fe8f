// A server on 127.0.0.1 in place of pvedaemon: real connections, with whatever answer or silence a test
// wants.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace phoenix::proxmox::testing {

struct SeenRequest {
  std::string head;  // with the request line, without the empty line
  std::string body;
  uint16_t client_port = 0;
};

// "HTTP/1.1 500 <reason>" with the body, as pvedaemon says it.
inline std::string HttpAnswer(int code, const std::string& reason, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(code) + " " + reason +
         "\r\nServer: pve-api-daemon/3.0\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nContent-Type: application/json;charset=UTF-8\r\nConnection: Keep-Alive\r\n\r\n" + body;
}

// Answers one connection after the other; each is closed after its one answer.
class ApiServer {
 public:
  // What to send, in one piece; "" closes the connection without a word.
  using Handler = std::function<std::string(const SeenRequest&)>;

  explicit ApiServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~ApiServer() {
    // Wakes accept().
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  uint16_t port() const { return port_; }
  std::vector<SeenRequest> seen() {
    const absl::MutexLock lock(&mutex_);
    return seen_;
  }

 private:
  void Serve() {
    while (true) {
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      const int fd = ::accept4(listener_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
      if (fd < 0) return;
      SeenRequest request = Read(fd);
      request.client_port = ntohs(peer.sin_port);
      {
        const absl::MutexLock lock(&mutex_);
        seen_.push_back(request);
      }
      const std::string answer = handler_(request);
      for (size_t sent = 0; sent < answer.size();) {
        const ssize_t now = ::send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (now <= 0) break;
        sent += static_cast<size_t>(now);
      }
      ::close(fd);
    }
  }

  static SeenRequest Read(int fd) {
    std::string text;
    char buffer[4096];
    while (true) {
      const auto end = text.find("\r\n\r\n");
      if (end != std::string::npos) {
        size_t length = 0;
        const auto header = text.find("Content-Length: ");
        if (header < end) length = std::stoul(text.substr(header + 16));
        if (text.size() >= end + 4 + length) return {text.substr(0, end), text.substr(end + 4), 0};
      }
      const ssize_t count = ::read(fd, buffer, sizeof buffer);
      if (count <= 0) return {text, "", 0};
      text.append(buffer, static_cast<size_t>(count));
    }
  }

  const Handler handler_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
  absl::Mutex mutex_;
  std::vector<SeenRequest> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace phoenix::proxmox::testing

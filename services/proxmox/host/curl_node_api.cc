#include "services/proxmox/host/curl_node_api.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "base/host/posix_command_runner.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::proxmox {
namespace {

constexpr size_t kLargestBody = 256 * 1024;
constexpr size_t kLargestHead = 64 * 1024;
constexpr long kConnectMilliseconds = 5000;
constexpr char kSocketTable[] = "/proc/net/tcp";

// One request and its answer, as libcurl's callbacks fill it.
struct Exchange {
  // Told our port before anything is sent; an error ends the exchange.
  std::function<absl::Status(uint16_t)> before_connect;
  absl::Status own_error;
  uint16_t port = 0;
  size_t head = 0;
  bool too_large = false;
  ApiAnswer answer;
};

// A socket of 127.0.0.1 on both ends, whose port is known before it is connected.
absl::StatusOr<int> Bind(const curl_sockaddr& address, uint16_t& port) {
  sockaddr_in peer{};
  if (address.family != AF_INET || address.addrlen < sizeof peer)
    return Internal("the node's API is on 127.0.0.1 only");
  ::memcpy(&peer, &address.addr, sizeof peer);
  if (peer.sin_addr.s_addr != htonl(INADDR_LOOPBACK)) return Internal("the node's API is on 127.0.0.1 only");
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "a socket for the node's API");
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    const absl::Status status = ErrnoStatus(errno, "a port for the node's API");
    ::close(fd);
    return status;
  }
  port = ntohs(own.sin_port);
  return fd;
}

curl_socket_t OpenSocket(void* context, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (exchange.port != 0) {
    exchange.own_error = Internal("a request to the node's API is sent once");
    return CURL_SOCKET_BAD;
  }
  const auto fd = Bind(*address, exchange.port);
  exchange.own_error = fd.ok() ? exchange.before_connect(exchange.port) : fd.status();
  if (exchange.own_error.ok()) return *fd;
  if (fd.ok()) ::close(*fd);
  return CURL_SOCKET_BAD;
}

size_t TakeHead(char* data, size_t size, size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::string_view line(data, size * count);
  exchange.head += line.size();
  if (exchange.head > kLargestHead) {
    exchange.too_large = true;
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    // "HTTP/1.1 400 Parameter verification failed."
    const auto code = line.find(' ');
    const auto reason = code == std::string_view::npos ? code : line.find(' ', code + 1);
    exchange.answer.reason = reason == std::string_view::npos ? "" : std::string(line.substr(reason + 1));
    while (!exchange.answer.reason.empty() &&
           static_cast<unsigned char>(exchange.answer.reason.back()) <= ' ')
      exchange.answer.reason.pop_back();
  }
  return line.size();
}

size_t TakeBody(char* data, size_t size, size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (exchange.answer.body.size() + size * count > kLargestBody) {
    exchange.too_large = true;
    return 0;
  }
  exchange.answer.body.append(data, size * count);
  return size * count;
}

// Headers of a request; the one with the token is overwritten when it goes.
class Headers {
 public:
  explicit Headers(const ApiToken& token) {
    const Secret authorization("Authorization: PVEAPIToken=" + token.value.Reveal());
    Add(authorization.Reveal().c_str());
    // A body goes at once: pvedaemon knows no "100 Continue".
    Add("Expect:");
    Add("Accept: application/json");
  }
  Headers(const Headers&) = delete;
  Headers& operator=(const Headers&) = delete;
  ~Headers() {
    for (curl_slist* line = list_; line != nullptr; line = line->next)
      ::explicit_bzero(line->data, ::strlen(line->data));
    ::curl_slist_free_all(list_);
  }
  const curl_slist* get() const { return list_; }

 private:
  void Add(const char* line) {
    if (curl_slist* longer = ::curl_slist_append(list_, line)) list_ = longer;
  }
  curl_slist* list_ = nullptr;
};

// Handles are never kept: libcurl sends a request again where a connection that it kept turns out to be
// closed, and a change must not be sent twice.
CURLcode Perform(const ApiRequest& request, const ApiToken& token, uint16_t port,
                 std::chrono::milliseconds limit, Exchange& exchange, bool& was_sent) {
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(::curl_easy_init(), ::curl_easy_cleanup);
  if (handle == nullptr) return CURLE_FAILED_INIT;
  CURL* curl = handle.get();
  const Headers headers(token);
  const std::string url = fmt::format("http://127.0.0.1:{}/api2/json{}", port, request.path);
  ::curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
  ::curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  // Whatever the environment says, which would hand the token to a proxy.
  ::curl_easy_setopt(curl, CURLOPT_PROXY, "");
  ::curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  ::curl_easy_setopt(curl, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  ::curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  ::curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
  ::curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  ::curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
  ::curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  ::curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, OpenSocket);
  ::curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &exchange);
  ::curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, TakeHead);
  ::curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  ::curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, TakeBody);
  ::curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  ::curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  if (request.method == "POST" || request.method == "PUT") {
    ::curl_easy_setopt(curl, CURLOPT_POST, 1L);
    ::curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.Reveal().size()));
    ::curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.Reveal().c_str());
  }
  ::curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  const CURLcode result = ::curl_easy_perform(curl);
  long code = 0, sent = 0;
  ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
  ::curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
  exchange.answer.code = static_cast<int>(code);
  was_sent = sent > 0;
  return result;
}

}  // namespace

CurlNodeApi::CurlNodeApi(Files& files, NodeApiSettings settings)
    : files_(files), settings_(std::move(settings)), boot_id_(ReadBootId()) {
  // Plain HTTP needs none of the libraries that libcurl would set up, and others use.
  static const CURLcode initialised = ::curl_global_init(CURL_GLOBAL_NOTHING);
  static_cast<void>(initialised);
}

absl::StatusOr<std::unique_ptr<CurlNodeApi>> CurlNodeApi::Open(Files& files, NodeApiSettings settings) {
  std::unique_ptr<CurlNodeApi> api(new CurlNodeApi(files, std::move(settings)));
  const std::string& path = api->settings_.sent_file;
  PHX_ASSIGN_OR_RETURN(const auto file, files.Read(path));
  if (!file) return api;
  const auto sent = ParseSentRequest(file->content);
  if (!sent) {
    return DataLoss(
        "{} cannot be read: it says which request to the node's API was on its way. Remove it once "
        "`ss -tn sport = :{}` shows no connection, and start the service again",
        path, api->settings_.port);
  }
  // What was on its way before the machine started anew is over.
  if (sent->boot_id != api->boot_id_) {
    PHX_RETURN_IF_ERROR(files.Remove(path));
    return api;
  }
  const absl::MutexLock lock(&api->unsettled_mutex_);
  api->unsettled_ = sent->client_port;
  return api;
}

absl::StatusOr<std::optional<ApiToken>> CurlNodeApi::Token() {
  return ReadToken(files_, settings_.token_file, settings_.token_owner);
}

absl::Status CurlNodeApi::NoteSent(uint16_t client_port) {
  return files_.Replace(settings_.sent_file,
                        {ToText(SentRequest{boot_id_, client_port}), ::geteuid(), ::getegid(), 0600});
}

absl::StatusOr<std::optional<ApiAnswer>> CurlNodeApi::Send(const ApiRequest& request, const ApiToken& token) {
  const absl::MutexLock lock(&send_mutex_);
  PHX_RETURN_IF_ERROR(Settle());
  const bool changes = request.method != "GET";
  const auto limit = changes ? settings_.change_limit : settings_.read_limit;
  Exchange exchange;
  exchange.before_connect = [&](uint16_t port) { return changes ? NoteSent(port) : absl::OkStatus(); };
  bool was_sent = false;
  const CURLcode result = Perform(request, token, settings_.port, limit, exchange, was_sent);
  PHX_RETURN_IF_ERROR(exchange.own_error);
  const bool refused = !was_sent && (result == CURLE_COULDNT_CONNECT || result == CURLE_OPERATION_TIMEDOUT);
  if (result == CURLE_OK || refused) {
    if (changes) PHX_RETURN_IF_ERROR(files_.Remove(settings_.sent_file));
    if (refused) return std::nullopt;
    return std::move(exchange.answer);
  }
  if (changes) {
    const absl::MutexLock unsettled(&unsettled_mutex_);
    unsettled_ = exchange.port;
  }
  if (result == CURLE_OPERATION_TIMEDOUT) {
    return WithReason(
        DeadlineExceeded("the node's API has not answered {} for {} s and may still be at it: look "
                         "at `journalctl -u pvedaemon`; restarting pvedaemon ends it",
                         ToText(request), limit.count() / 1000),
        {kNodeApiNoAnswer, {}});
  }
  return WithReason(
      Unavailable("the node's API gave no whole answer to {} ({}), so that only {} says whether it was done",
                  ToText(request),
                  exchange.too_large ? "it is larger than any answer to a change"
                                     : std::string(::curl_easy_strerror(result)),
                  kStorageConfigPath),
      {kNodeApiNoAnswer, {}});
}

absl::Status CurlNodeApi::Settle() {
  const absl::MutexLock lock(&unsettled_mutex_);
  if (!unsettled_) return absl::OkStatus();
  const auto deadline = std::chrono::steady_clock::now() + settings_.settle_limit;
  while (true) {
    PHX_ASSIGN_OR_RETURN(const auto table, files_.Read(kSocketTable));
    if (!table) return Internal("{} cannot be read", kSocketTable);
    if (!IsServed(table->content, settings_.port, *unsettled_)) break;
    if (std::chrono::steady_clock::now() >= deadline) {
      return WithReason(
          Unavailable(
              "the node's API still works on a request that this service sent before (from port {}), so "
              "that what it leaves is not known yet: look at `journalctl -u pvedaemon`; restarting "
              "pvedaemon ends it",
              *unsettled_),
          {kNodeApiNoAnswer, {}});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  PHX_RETURN_IF_ERROR(files_.Remove(settings_.sent_file));
  unsettled_.reset();
  return absl::OkStatus();
}

}  // namespace phoenix::proxmox

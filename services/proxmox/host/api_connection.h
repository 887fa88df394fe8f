// Whether the node's API still works on a request whose sender is gone. Pure.
//
// pvedaemon does not notice that its client died: it finishes the request. Its end of the connection lives
// until then, and the kernel's table shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phoenix::proxmox {

// True where the kernel's table (/proc/net/tcp) has the connection between these two ports of 127.0.0.1 in a
// state in which the server has not finished with it, or may still receive the request.
bool IsServed(std::string_view tcp_table, uint16_t server_port, uint16_t client_port);

// A request on its way, noted before anything of it is sent.
struct SentRequest {
  std::string boot_id;
  uint16_t client_port = 0;
};
std::string ToText(const SentRequest& sent);
std::optional<SentRequest> ParseSentRequest(std::string_view text);

}  // namespace phoenix::proxmox

#include "services/proxmox/host/api_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <sstream>

namespace phoenix::proxmox {
namespace {

// As the table shows it: the address as the machine keeps it in memory.
std::string End(uint16_t port) {
  return fmt::format("{:08X}:{:04X}", static_cast<uint32_t>(htonl(INADDR_LOOPBACK)), port);
}

}  // namespace

bool IsServed(std::string_view tcp_table, uint16_t server_port, uint16_t client_port) {
  const std::string server = End(server_port), client = End(client_port);
  std::istringstream lines{std::string(tcp_table)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string number, local, remote, state;
    if (!(fields >> number >> local >> remote >> state)) continue;
    // ESTABLISHED, SYN_RECV, CLOSE_WAIT, NEW_SYN_RECV: in all others the server has closed its end.
    if (local == server && remote == client &&
        (state == "01" || state == "03" || state == "08" || state == "0C")) {
      return true;
    }
    // ESTABLISHED, SYN_SENT, FIN_WAIT1: the kernel may still deliver what the dead client wrote.
    if (local == client && remote == server && (state == "01" || state == "02" || state == "04")) return true;
  }
  return false;
}

std::string ToText(const SentRequest& sent) { return fmt::format("{} {}\n", sent.boot_id, sent.client_port); }

std::optional<SentRequest> ParseSentRequest(std::string_view text) {
  const auto blank = text.find(' ');
  if (blank == 0 || blank == std::string_view::npos || !text.ends_with('\n')) return std::nullopt;
  SentRequest sent{std::string(text.substr(0, blank)), 0};
  const std::string_view port = text.substr(blank + 1, text.size() - blank - 2);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), sent.client_port);
  if (error != std::errc() || end != port.data() + port.size() || sent.client_port == 0) return std::nullopt;
  return sent;
}

}  // namespace phoenix::proxmox

#include "services/nfs/domain/client.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <optional>

#include "base/status/errors.h"

namespace phoenix::nfs {
namespace {

constexpr size_t kLongestName = 253;

struct Address {
  bool ipv6 = false;
  std::array<uint8_t, 16> bytes{};
};

std::optional<Address> ParseAddress(std::string_view text) {
  const std::string terminated(text);
  Address address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  address.ipv6 = true;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string ToText(const Address& address) {
  char buffer[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(address.ipv6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

// "24", or for IPv4 "255.255.255.0".
std::optional<int> ParsePrefix(std::string_view text, bool ipv6) {
  int prefix = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), prefix);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (prefix < 0 || prefix > (ipv6 ? 128 : 32)) return std::nullopt;
    return prefix;
  }
  const auto mask = ParseAddress(text);
  if (ipv6 || !mask || mask->ipv6) return std::nullopt;
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits = bits << 8 | mask->bytes[static_cast<size_t>(i)];
  const int ones = std::countl_one(bits);
  if (ones < 32 && (bits << ones) != 0) return std::nullopt;
  return ones;
}

void ClearHostBits(Address& address, int prefix) {
  const int width = address.ipv6 ? 128 : 32;
  for (int bit = prefix; bit < width; ++bit) {
    address.bytes[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  }
}

bool IsName(std::string_view text, bool pattern) {
  if (text.empty() || text.size() > kLongestName) return false;
  if (text.front() == '-' || text.front() == '.' || text.back() == '-') return false;
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '.' || c == '_' || (pattern && (c == '*' || c == '?'));
  });
}

bool SamePrefix(const Client& a, const Client& b, int prefix) {
  for (int bit = 0; bit < prefix; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    const auto byte = static_cast<size_t>(bit / 8);
    if ((a.bytes[byte] & mask) != (b.bytes[byte] & mask)) return false;
  }
  return true;
}

bool HasBytes(const Client& client) {
  return client.kind == Client::Kind::kAddress || client.kind == Client::Kind::kNetwork;
}

}  // namespace

absl::StatusOr<Client> ParseClient(std::string_view text) {
  Client client;
  client.text = std::string(text);
  if (text == "*") {
    client.kind = Client::Kind::kEveryone;
    return client;
  }
  if (text.starts_with('@')) {
    if (!IsName(text.substr(1), false)) return InvalidArgument("«{}» is no netgroup: @NAME", text);
    client.kind = Client::Kind::kNetgroup;
    return client;
  }
  const auto slash = text.find('/');
  if (auto address = ParseAddress(text.substr(0, slash))) {
    client.ipv6 = address->ipv6;
    client.prefix = address->ipv6 ? 128 : 32;
    client.kind = Client::Kind::kAddress;
    if (slash != std::string_view::npos) {
      const auto prefix = ParsePrefix(text.substr(slash + 1), address->ipv6);
      if (!prefix)
        return InvalidArgument("«{}» is no network: ADDRESS/PREFIX, for example 10.0.0.0/24", text);
      // A network of one address is that address; exportfs would keep them apart.
      if (*prefix != client.prefix) client.kind = Client::Kind::kNetwork;
      client.prefix = *prefix;
      ClearHostBits(*address, *prefix);
    }
    client.bytes = address->bytes;
    client.text = ToText(*address);
    if (client.kind == Client::Kind::kNetwork) client.text += fmt::format("/{}", client.prefix);
    return client;
  }
  const bool pattern = text.find_first_of("*?") != std::string_view::npos;
  if (!IsName(text, pattern)) {
    return InvalidArgument("«{}» is no client: an address, ADDRESS/PREFIX, a host name, @NETGROUP or *",
                           text);
  }
  // 10.0.0 or 10.0.0.256 is a slip of the pen, not a name; exportfs would resolve it, or drop the entry in
  // silence.
  if (!pattern && text.find_first_not_of("0123456789.") == std::string_view::npos) {
    return InvalidArgument("«{}» is no address", text);
  }
  client.kind = pattern ? Client::Kind::kPattern : Client::Kind::kHost;
  std::transform(client.text.begin(), client.text.end(), client.text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return client;
}

bool Overlap(const Client& a, const Client& b) {
  if (a.kind == Client::Kind::kEveryone || b.kind == Client::Kind::kEveryone) return true;
  if (HasBytes(a) && HasBytes(b)) return a.ipv6 == b.ipv6 && SamePrefix(a, b, std::min(a.prefix, b.prefix));
  return a.kind == b.kind && a.text == b.text;
}

bool Contains(const Client& client, std::string_view address) {
  const auto parsed = ParseClient(address);
  if (!parsed.ok() || parsed->kind != Client::Kind::kAddress) return false;
  if (client.kind == Client::Kind::kEveryone) return true;
  return HasBytes(client) && Overlap(client, *parsed);
}

bool ListensOn(const std::vector<std::string>& hosts, std::string_view address) {
  const auto own = ParseClient(address);
  if (!own.ok() || own->kind != Client::Kind::kAddress) return false;
  return hosts.empty() || std::any_of(hosts.begin(), hosts.end(), [&](const std::string& host) {
           const auto bound = ParseClient(host);
           if (!bound.ok() || bound->kind != Client::Kind::kAddress || bound->ipv6 != own->ipv6) return false;
           return bound->text == own->text || bound->text == (bound->ipv6 ? "::" : "0.0.0.0");
         });
}

}  // namespace phoenix::nfs

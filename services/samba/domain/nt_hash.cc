#include "services/samba/domain/nt_hash.h"

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace phoenix::samba {
namespace {

// RFC 1320.
class Md4 {
 public:
  std::array<uint8_t, 16> Digest(std::string message) {
    const uint64_t bits = static_cast<uint64_t>(message.size()) * 8;
    message += '\x80';
    message.resize((message.size() + 8 + 63) / 64 * 64 - 8, '\0');
    for (int i = 0; i < 8; ++i) message += static_cast<char>(bits >> (8 * i) & 0xFF);
    for (size_t at = 0; at < message.size(); at += 64) Block(std::string_view(message).substr(at, 64));
    std::array<uint8_t, 16> digest{};
    for (size_t i = 0; i < digest.size(); ++i)
      digest[i] = static_cast<uint8_t>(state_[i / 4] >> (8 * (i % 4)) & 0xFF);
    volatile char* bytes = message.data();
    for (size_t i = 0; i < message.size(); ++i) bytes[i] = 0;
    return digest;
  }

 private:
  void Block(std::string_view block) {
    std::array<uint32_t, 16> words{};
    for (size_t i = 0; i < 64; ++i)
      words[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(block[i])) << (8 * (i % 4));
    constexpr std::array<std::array<int, 4>, 3> kShifts = {{{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}}};
    constexpr std::array<std::array<int, 16>, 3> kOrder = {
        {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
         {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
         {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}}};
    constexpr std::array<uint32_t, 3> kAdd = {0, 0x5A827999, 0x6ED9EBA1};
    auto [a, b, c, d] = state_;
    for (size_t round = 0; round < 3; ++round) {
      for (size_t i = 0; i < 16; ++i) {
        const uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                               : round == 1 ? (b & c) | (b & d) | (c & d)
                                            : b ^ c ^ d;
        const uint32_t next = std::rotl(
            a + mixed + words[static_cast<size_t>(kOrder[round][i])] + kAdd[round], kShifts[round][i % 4]);
        a = d;
        d = c;
        c = b;
        b = next;
      }
    }
    state_ = {state_[0] + a, state_[1] + b, state_[2] + c, state_[3] + d};
  }

  std::array<uint32_t, 4> state_ = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};
};

void AppendUtf16(std::string& out, uint32_t unit) {
  out += static_cast<char>(unit & 0xFF);
  out += static_cast<char>(unit >> 8 & 0xFF);
}

std::string ToUtf16(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const size_t more = byte < 0xC0 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    uint32_t code = more == 0 ? byte : byte & (0x3Fu >> more);
    if (i + more >= text.size()) return out + std::string(text.substr(i));
    for (size_t k = 1; k <= more; ++k) code = code << 6 | (static_cast<uint8_t>(text[i + k]) & 0x3F);
    if (code >= 0x10000) {
      AppendUtf16(out, 0xD800 + ((code - 0x10000) >> 10));
      AppendUtf16(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
    } else {
      AppendUtf16(out, code);
    }
    i += more + 1;
  }
  return out;
}

}  // namespace

Secret NtHash(const Secret& password) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const Secret wide(ToUtf16(password.Reveal()));
  std::string hex;
  for (const uint8_t byte : Md4().Digest(wide.Reveal())) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 0xF];
  }
  return Secret(std::move(hex));
}

}  // namespace phoenix::samba

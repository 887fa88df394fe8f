#include "services/zfs/domain/zfs_encryption.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>

#include "base/digest/digest.h"
#include "services/zfs/domain/zfs_health.h"
#include "services/zfs/domain/zfs_names.h"

namespace phoenix::zfs {
namespace {

// 16 bits in hexadecimal digits.
constexpr size_t kMacDigits = 4;
constexpr size_t kKeyBytes = 32, kLeastPassphrase = 8, kMostPassphrase = 512;

bool IsHexKey(const std::string& text) {
  return text.size() == 2 * kKeyBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isxdigit(static_cast<unsigned char>(c)) != 0;
         });
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 0x20) - 'a' + 10;
}

}  // namespace

bool IsKeyFormat(std::string_view format) {
  return format == kPassphrase || format == kHex || format == kRaw;
}

bool IsAlgorithm(std::string_view algorithm) {
  constexpr std::array<std::string_view, 6> kKnown = {"aes-128-ccm", "aes-192-ccm", "aes-256-ccm",
                                                      "aes-128-gcm", "aes-192-gcm", "aes-256-gcm"};
  return std::find(kKnown.begin(), kKnown.end(), algorithm) != kKnown.end();
}

EncryptionSpec Completed(EncryptionSpec encryption) {
  if (encryption.format.empty()) encryption.format = kPassphrase;
  if (encryption.algorithm.empty()) encryption.algorithm = kDefaultAlgorithm;
  return encryption;
}

bool IsEncrypted(const DatasetState& dataset) {
  const std::string algorithm = dataset.Value("encryption");
  return !algorithm.empty() && algorithm != "off" && algorithm != "-";
}

bool IsLocked(const DatasetState& dataset) { return dataset.Value("keystatus") == "unavailable"; }

bool IsBound(const DatasetState& dataset) {
  const std::string root = dataset.Value("encryptionroot");
  return IsEncrypted(dataset) && root != dataset.name && root != PoolOf(dataset.name);
}

std::string WrongKey(std::string_view format, const Secret& key) {
  const std::string& value = key.Reveal();
  if (format == kHex)
    return IsHexKey(value) ? "" : "a hex key has 64 hexadecimal digits, and this one has not";
  if (format == kRaw) {
    if (value.size() == kKeyBytes || IsHexKey(value)) return "";
    return "a raw key has 32 bytes, or is given as 64 hexadecimal digits, and this one is not";
  }
  // What zfs takes for its end.
  if (value.find_first_of(std::string_view("\n\0", 2)) != std::string::npos)
    return "a passphrase is one line of text, and this one is not";
  if (value.size() < kLeastPassphrase || value.size() > kMostPassphrase)
    return "a passphrase has 8 to 512 bytes, and this one has not";
  return "";
}

Secret KeyInput(std::string_view format, const Secret& key) {
  if (format != kRaw) return Secret(key.Reveal() + "\n");
  if (!IsHexKey(key.Reveal())) return key;
  std::string bytes;
  // At once, so that no copy stays behind where it grows.
  bytes.reserve(kKeyBytes);
  for (size_t i = 0; i < 2 * kKeyBytes; i += 2)
    bytes.push_back(static_cast<char>(Digit(key.Reveal()[i]) << 4 | Digit(key.Reveal()[i + 1])));
  return Secret(std::move(bytes));
}

std::string MacOfKey(const Secret& node_key, const Secret& key) {
  const Secret labelled("phoenix zfs key\n" + key.Reveal());
  // All of it would tell whoever reads a journal, with the node's key, each guess of a passphrase at once.
  return HmacSha256Hex(node_key.Reveal(), labelled.Reveal()).substr(0, kMacDigits);
}

GivenKeys GivenKeysOf(const ZfsSpec& spec, const Secrets& secrets, const Secret& node_key) {
  GivenKeys keys;
  for (const auto& dataset : spec.datasets) {
    if (!dataset.encryption || dataset.presence != Presence::kPresent) continue;
    const EncryptionSpec encryption = Completed(*dataset.encryption);
    const auto secret = secrets.find(encryption.secret);
    if (secret == secrets.end()) continue;
    keys.macs[encryption.secret] = MacOfKey(node_key, secret->second);
    if (std::string wrong = WrongKey(encryption.format, secret->second); !wrong.empty())
      keys.wrong[dataset.name] = std::move(wrong);
  }
  return keys;
}

std::map<std::string, KeyToTry, std::less<>> KeysToTry(const ZfsSpec& spec, const ZfsState& seen,
                                                       const Secrets& secrets) {
  std::map<std::string, KeyToTry, std::less<>> keys;
  for (const auto& dataset : spec.datasets) {
    if (!dataset.encryption || dataset.presence != Presence::kPresent) continue;
    const EncryptionSpec encryption = Completed(*dataset.encryption);
    const auto there = seen.datasets.find(dataset.name);
    const auto secret = secrets.find(encryption.secret);
    if (there == seen.datasets.end() || secret == secrets.end()) continue;
    // There is no key to be tried in a pool that answers nothing.
    const auto pool = seen.pools.find(PoolOf(dataset.name));
    if (pool != seen.pools.end() && IsUnusable(pool->second)) continue;
    // Of another one, or in another format, it is refused without a try.
    if (there->second.Value("encryptionroot") != dataset.name ||
        there->second.Value("keyformat") != encryption.format)
      continue;
    if (WrongKey(encryption.format, secret->second).empty())
      keys[dataset.name] = {encryption.format, secret->second};
  }
  return keys;
}

void SortForMounting(std::vector<LoadKeyStep::Mount>& mounts) {
  std::sort(mounts.begin(), mounts.end(), [](const auto& a, const auto& b) {
    return std::make_tuple(a.at.size(), a.at, a.name) < std::make_tuple(b.at.size(), b.at, b.name);
  });
}

std::vector<LoadKeyStep::Mount> MountsOf(const ZfsState& seen, std::string_view root) {
  std::vector<LoadKeyStep::Mount> mounts;
  for (const auto& [name, dataset] : seen.datasets) {  // parents sort before what is below them
    if (dataset.Value("encryptionroot") != root || dataset.type != "filesystem") continue;
    if (!dataset.mounted_at.empty() || dataset.Value("canmount") != "on") continue;
    // What was put aside is nobody's to mount.
    if (IsBelow(name, PoolOf(name) + "/.phoenix")) continue;
    const std::string at = dataset.Value("mountpoint");
    if (at.starts_with('/')) mounts.push_back({name, at});
  }
  SortForMounting(mounts);
  return mounts;
}

std::string DeclaredRootOf(const ZfsSpec& spec, std::string_view name) {
  std::string_view root;
  for (const auto& dataset : spec.datasets) {
    if (dataset.encryption && dataset.presence == Presence::kPresent && IsBelow(name, dataset.name) &&
        dataset.name.size() > root.size())
      root = dataset.name;
  }
  return std::string(root);
}

std::string HowToUnlock(const DatasetState& dataset) {
  const std::string root = dataset.Value("encryptionroot");
  return fmt::format("the key of {} is not loaded; zfs load-key {}{}", root, root,
                     dataset.type == "volume" ? "" : " && zfs mount " + dataset.name);
}

std::string HowToUnlockAll(const ZfsState& seen, std::string_view pool) {
  std::vector<std::string> commands;
  std::vector<LoadKeyStep::Mount> mounts;
  for (const auto& [name, dataset] : seen.datasets) {  // roots sort before those below them
    if (PoolOf(name) != pool || !IsEncrypted(dataset) || IsLocked(dataset)) continue;
    if (IsBelow(name, PoolOf(name) + "/.phoenix")) continue;
    if (dataset.Value("encryptionroot") == name) commands.push_back("zfs load-key " + name);
    if (!dataset.mounted_at.empty()) mounts.push_back({name, dataset.mounted_at});
  }
  SortForMounting(mounts);
  for (const auto& mount : mounts) commands.push_back("zfs mount " + mount.name);
  return fmt::format("{}", fmt::join(commands, " && "));
}

}  // namespace phoenix::zfs

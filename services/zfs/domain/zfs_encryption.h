// Encryption roots and their keys: what is declared, what was given, what is there. Pure; a key's value is in
// no text that this makes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "services/zfs/domain/zfs_planner.h"

namespace phoenix::zfs {

inline constexpr std::string_view kPassphrase = "passphrase", kHex = "hex", kRaw = "raw";
inline constexpr std::string_view kDefaultAlgorithm = "aes-256-gcm";

bool IsKeyFormat(std::string_view format);
bool IsAlgorithm(std::string_view algorithm);

// With every field given.
EncryptionSpec Completed(EncryptionSpec encryption);

bool IsEncrypted(const DatasetState& dataset);
// True where its key is not loaded, so that nobody can look into it.
bool IsLocked(const DatasetState& dataset);
// True where it inherits the key of a root below its pool: ZFS lets it not leave that root, for the trash of
// the pool or for another place.
bool IsBound(const DatasetState& dataset);

// What a key of this format must be and this one is not; "" for a good one.
std::string WrongKey(std::string_view format, const Secret& key);
// The bytes that zfs reads from its standard input for a good key: a line, or 32 bytes.
Secret KeyInput(std::string_view format, const Secret& key);

// 16 bits of a keyed hash (`node_key` is the node's own), for journals: they notice a secret that was changed
// by accident between plan and step, and are too few to find a key by.
std::string MacOfKey(const Secret& node_key, const Secret& key);

GivenKeys GivenKeysOf(const ZfsSpec& spec, const Secrets& secrets, const Secret& node_key);
// The good ones among the keys of encryption roots that are there, each with the format that is there, too.
// None of pools that are unusable.
std::map<std::string, KeyToTry, std::less<>> KeysToTry(const ZfsSpec& spec, const ZfsState& seen,
                                                       const Secrets& secrets);

// Of two mounts the one below is seen only where it comes later.
void SortForMounting(std::vector<LoadKeyStep::Mount>& mounts);
// Where what the key of `root` opens is mounted once it is loaded, sorted.
std::vector<LoadKeyStep::Mount> MountsOf(const ZfsState& seen, std::string_view root);

// The nearest dataset at or above `name` that is declared an encryption root; "" for none.
std::string DeclaredRootOf(const ZfsSpec& spec, std::string_view name);

// What a person is to do where an undo or a look needs a key that is not loaded.
std::string HowToUnlock(const DatasetState& dataset);
// The commands that load the keys of a pool that are loaded now, and mount what is mounted with them; "" for
// none. What lies in the trash is left out.
std::string HowToUnlockAll(const ZfsState& seen, std::string_view pool);

}  // namespace phoenix::zfs

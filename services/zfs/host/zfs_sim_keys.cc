// Encryption roots and their keys in the simulated world. A dataset's "crypt" holds the GUID of its
// encryption root and the algorithm; that of a root also the format, a digest of the key, and whether it is
// loaded.
#include <algorithm>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/zfs/domain/zfs_encryption.h"
#include "services/zfs/domain/zfs_names.h"
#include "services/zfs/host/zfs_sim_world.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

constexpr char kDataset[] = "zfs.dataset";

// The machine's file may hold no key.
std::string DigestOf(std::string_view format, const Secret& key) {
  return Sha256Hex(KeyInput(format, key).Reveal());
}

}  // namespace

absl::StatusOr<std::string> SimZfs::EncryptionRoot(const json& dataset) {
  if (!dataset.contains("crypt")) return std::string();
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kDataset));
  for (const auto& [name, value] : all) {
    if (value["guid"] == dataset["crypt"]["root"]) return name;
  }
  return Internal("the encryption root of a dataset is not there");
}

absl::StatusOr<bool> SimZfs::IsLocked(const json& dataset) {
  PHX_ASSIGN_OR_RETURN(const std::string name, EncryptionRoot(dataset));
  if (name.empty()) return false;
  // One that is on its way is not in the world yet.
  if (dataset["crypt"]["root"] == dataset["guid"]) return !dataset["crypt"].value("loaded", false);
  PHX_ASSIGN_OR_RETURN(const json root, Dataset(name));
  return !root["crypt"].value("loaded", false);
}

absl::StatusOr<json> SimZfs::NewEncryption(const std::string& name, const std::optional<NewKey>& key,
                                           int64_t guid) {
  if (key) {
    if (!WrongKey(key->format, key->key).empty())
      return InvalidArgument("Encryption create error: {}", WrongKey(key->format, key->key));
    return json{{"root", guid},
                {"algorithm", key->algorithm},
                {"format", key->format},
                {"key", DigestOf(key->format, key->key)},
                {"loaded", true}};
  }
  const std::string parent = ParentOf(name);
  if (parent.empty()) return json();
  PHX_ASSIGN_OR_RETURN(const json above, Dataset(parent));
  if (!above.contains("crypt")) return json();
  PHX_ASSIGN_OR_RETURN(const bool locked, IsLocked(above));
  if (locked)
    return FailedPrecondition("cannot create '{}': encryption root's key is not loaded or provided", name);
  return json{{"root", above["crypt"]["root"]}, {"algorithm", above["crypt"]["algorithm"]}};
}

absl::Status SimZfs::AddEncryption(const std::string& name, const json& dataset, PropertyStates& states) {
  if (!dataset.contains("crypt")) {
    states["encryption"] = {"off", "default", "-"};
    states["keyformat"] = {"none", "default", "-"};
    states["keylocation"] = {"none", "default", "-"};
    return absl::OkStatus();
  }
  PHX_ASSIGN_OR_RETURN(const std::string root_name, EncryptionRoot(dataset));
  PHX_ASSIGN_OR_RETURN(const json root, Dataset(root_name));
  const json& crypt = root["crypt"];
  states["encryption"] = {dataset["crypt"]["algorithm"].get<std::string>(), "-", "-"};
  states["keyformat"] = {crypt["format"].get<std::string>(), "-", "-"};
  states["keylocation"] =
      root_name == name ? PropertyState{"prompt", "local", "-"} : PropertyState{"none", "default", "-"};
  states["encryptionroot"] = {root_name, "-", "-"};
  states["keystatus"] = {crypt.value("loaded", false) ? "available" : "unavailable", "-", "-"};
  return absl::OkStatus();
}

absl::StatusOr<bool> SimZfs::KeyFits(const std::string& root, const KeyToTry& key) {
  PHX_ASSIGN_OR_RETURN(const json dataset, Dataset(root));
  if (!dataset.contains("crypt")) return InvalidArgument("Key load error: '{}' is not encrypted.", root);
  if (dataset["crypt"]["root"] != dataset["guid"])
    return InvalidArgument("Key load error: Keys must be loaded for encryption root of '{}'.", root);
  const std::string format = dataset["crypt"]["format"];
  return dataset["crypt"]["key"] == DigestOf(format, key.key);
}

absl::Status SimZfs::ForgetKeys(std::string_view pool) {
  PHX_ASSIGN_OR_RETURN(const auto names, Below(pool));
  for (const auto& name : names) {
    PHX_ASSIGN_OR_RETURN(json dataset, Dataset(name));
    if (!dataset.contains("crypt") || !dataset["crypt"].value("loaded", false)) continue;
    dataset["crypt"]["loaded"] = false;
    PHX_RETURN_IF_ERROR(Put(name, dataset));
  }
  return absl::OkStatus();
}

absl::Status SimZfs::Do(const LoadKey& change) {
  PHX_ASSIGN_OR_RETURN(const bool fits, KeyFits(change.name, {change.format, change.key}));
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
  if (dataset["crypt"].value("loaded", false))
    return FailedPrecondition("Key load error: Key already loaded for '{}'.", change.name);
  if (!fits) return FailedPrecondition("Key load error: Incorrect key provided for '{}'.", change.name);
  dataset["crypt"]["loaded"] = true;
  return Put(change.name, dataset);
}

absl::Status SimZfs::Do(const UnloadKey& change) {
  PHX_ASSIGN_OR_RETURN(json dataset, Dataset(change.name));
  if (!dataset.contains("crypt") || dataset["crypt"]["root"] != dataset["guid"])
    return InvalidArgument("Key unload error: '{}' is no encryption root.", change.name);
  if (!dataset["crypt"].value("loaded", false))
    return FailedPrecondition("Key unload error: Key already unloaded for '{}'.", change.name);
  PHX_ASSIGN_OR_RETURN(const auto all, world_.List(kDataset));
  for (const auto& [name, value] : all) {
    const bool opened = value.contains("crypt") && value["crypt"]["root"] == dataset["guid"];
    if (opened && (IsMounted(value) || value.value("busy", false)))
      return FailedPrecondition("Key unload error: '{}' is busy.", change.name);
  }
  dataset["crypt"]["loaded"] = false;
  return Put(change.name, dataset);
}

}  // namespace phoenix::zfs

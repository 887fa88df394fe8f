#include "services/samba/worker/sealed_store.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::samba {
namespace {

constexpr std::string_view kMagic = "phoenix sealed 1\n";
constexpr int kIvBytes = 12;
constexpr int kTagBytes = 16;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// A key of its own, so that no other use of the node key weakens it.
std::array<unsigned char, 32> SealKey(const Secret& node_key) {
  const std::string hex = HmacSha256Hex(node_key.Reveal(), "phoenix samba sealed entry 1");
  std::array<unsigned char, 32> key{};
  for (size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  return key;
}

// Bound to its place: a file moved to another run or name does not open.
std::string Label(const std::string& run_id, const std::string& name) { return run_id + "\n" + name; }

// Names become file names.
absl::Status CheckName(const std::string& name) {
  if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) {
    return Internal("'{}' cannot name a sealed file", name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Encrypt(const Secret& node_key, const std::string& label,
                                    const std::string& plain) {
  const auto key = SealKey(node_key);
  const std::string iv = RandomBytes(kIvBytes);
  const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string text(plain.size() + kTagBytes, '\0');
  std::string tag(kTagBytes, '\0');
  int written = 0, more = 0, labelled = 0;
  auto* out = reinterpret_cast<unsigned char*>(text.data());
  const bool ok =
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), Bytes(iv)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &labelled, Bytes(label), static_cast<int>(label.size())) ==
          1 &&
      EVP_EncryptUpdate(cipher.get(), out, &written, Bytes(plain), static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), out + written, &more) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1;
  if (!ok) return Internal("cannot seal: the cipher failed");
  text.resize(static_cast<size_t>(written) + static_cast<size_t>(more));
  return std::string(kMagic) + iv + tag + text;
}

absl::StatusOr<Secret> Decrypt(const Secret& node_key, const std::string& label, std::string_view sealed) {
  if (!sealed.starts_with(kMagic) || sealed.size() < kMagic.size() + kIvBytes + kTagBytes) {
    return DataLoss("this is no sealed file");
  }
  sealed.remove_prefix(kMagic.size());
  const std::string_view iv = sealed.substr(0, kIvBytes);
  std::string tag(sealed.substr(kIvBytes, kTagBytes));
  const std::string_view text = sealed.substr(kIvBytes + kTagBytes);
  const auto key = SealKey(node_key);
  const Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string plain(text.size() + kTagBytes, '\0');
  int written = 0, more = 0, labelled = 0;
  auto* out = reinterpret_cast<unsigned char*>(plain.data());
  const bool ok =
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), Bytes(iv)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &labelled, Bytes(label), static_cast<int>(label.size())) ==
          1 &&
      EVP_DecryptUpdate(cipher.get(), out, &written, Bytes(text), static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), out + written, &more) == 1;
  Secret opened(plain.substr(0, ok ? static_cast<size_t>(written + more) : 0));
  volatile char* wipe = plain.data();
  for (size_t i = 0; i < plain.size(); ++i) wipe[i] = 0;
  if (!ok)
    return DataLoss("the sealed file does not open with this node's key, or is not the one it claims to be");
  return opened;
}

}  // namespace

absl::Status SealedStore::Put(const std::string& run_id, const std::string& name, const Secret& node_key,
                              const Secret& value) {
  PHX_RETURN_IF_ERROR(CheckName(run_id));
  PHX_RETURN_IF_ERROR(CheckName(name));
  const std::string folder = directory_ + "/" + run_id;
  const std::string path = folder + "/" + name;
  PHX_ASSIGN_OR_RETURN(const auto there, files_->Read(path));
  if (there) return absl::OkStatus();
  PHX_ASSIGN_OR_RETURN(const std::string sealed, Encrypt(node_key, Label(run_id, name), value.Reveal()));
  const absl::MutexLock lock(&folders_mutex_);
  PHX_RETURN_IF_ERROR(files_->MakeDirectory(directory_, {::geteuid(), ::getegid(), 0700}));
  PHX_RETURN_IF_ERROR(files_->MakeDirectory(folder, {::geteuid(), ::getegid(), 0700}));
  return files_->Replace(path, {sealed, ::geteuid(), ::getegid(), 0600});
}

absl::StatusOr<std::optional<Secret>> SealedStore::Get(const std::string& run_id, const std::string& name,
                                                       const Secret& node_key) const {
  PHX_RETURN_IF_ERROR(CheckName(run_id));
  PHX_RETURN_IF_ERROR(CheckName(name));
  PHX_ASSIGN_OR_RETURN(const auto there, files_->Read(directory_ + "/" + run_id + "/" + name));
  if (!there) return std::optional<Secret>();
  PHX_ASSIGN_OR_RETURN(Secret opened, Decrypt(node_key, Label(run_id, name), there->content));
  return std::optional<Secret>(std::move(opened));
}

absl::Status SealedStore::Remove(const std::string& run_id, const std::string& name) {
  PHX_RETURN_IF_ERROR(CheckName(run_id));
  PHX_RETURN_IF_ERROR(CheckName(name));
  const std::string folder = directory_ + "/" + run_id;
  const absl::MutexLock lock(&folders_mutex_);
  PHX_RETURN_IF_ERROR(files_->Remove(folder + "/" + name));
  PHX_ASSIGN_OR_RETURN(const auto left, files_->List(folder));
  // A run that was closed long ago may be taken back: nobody closes it again.
  return left.empty() ? files_->RemoveDirectory(folder) : absl::OkStatus();
}

absl::Status SealedStore::Forget(const std::string& run_id) {
  PHX_RETURN_IF_ERROR(CheckName(run_id));
  const std::string folder = directory_ + "/" + run_id;
  const absl::MutexLock lock(&folders_mutex_);
  PHX_ASSIGN_OR_RETURN(const auto names, files_->List(folder));
  for (const std::string& name : names) PHX_RETURN_IF_ERROR(files_->Remove(folder + "/" + name));
  return files_->RemoveDirectory(folder);
}

}  // namespace phoenix::samba

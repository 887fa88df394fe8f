#include "clients/cli/declaration.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/secrets.h"
#include "orchestrator/config/vm_delivery.h"
#include "orchestrator/config/vm_section.h"
#include "orchestrator/config/zfs_content.h"

namespace phoenix::cli {
namespace {

constexpr std::size_t kMostScriptBytes = std::size_t{2} * 1024 * 1024;

}  // namespace

absl::StatusOr<std::string> ReadText(const std::string& path) {
  // It would open, and read as an empty file.
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return ErrnoStatus(EISDIR, path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno == 0 ? ENOENT : errno, path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<std::map<std::string, std::string>> ReadFeatureScripts(const std::string& config_path,
                                                                      const std::string& config_text,
                                                                      const std::string& vms_text) {
  std::map<std::string, std::string> scripts;
  const config::LoadResult loaded = config::Load(config_text);
  if (!loaded.config.vm_features.has_value()) return scripts;
  std::size_t bytes = 0;
  const std::filesystem::path folder =
      std::filesystem::path(config_path).parent_path() / loaded.config.vm_features->scripts;
  for (const std::string& name :
       config::WantedFiles(*loaded.config.vm_features, config::LoadVms(vms_text).vms)) {
    const std::filesystem::path path = folder / name;
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) {
      if (status.type() == std::filesystem::file_type::not_found) continue;
      return ErrnoStatus(error.value(), path.string());
    }
    if (!std::filesystem::is_regular_file(status)) {
      return FailedPrecondition("{} is no file, so it cannot be a script of a feature", path.string());
    }
    // A longer one is refused where its place can be named; nothing is gained by reading all of it.
    std::ifstream file(path, std::ios::binary);
    if (!file) return ErrnoStatus(errno == 0 ? EACCES : errno, path.string());
    std::string content(config::kMostFileBytes + 1, '\0');
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<std::size_t>(file.gcount()));
    bytes += content.size();
    scripts[name] = std::move(content);
  }
  // They travel in one message with the configuration.
  if (bytes > kMostScriptBytes) {
    return FailedPrecondition("the scripts in {} that the VMs need have {} bytes together; at most 2 MiB",
                              folder.string(), bytes);
  }
  return scripts;
}

absl::StatusOr<orchestrator::v1::Declaration> ReadDeclaration(const DeclarationFiles& files, bool remote) {
  orchestrator::v1::Declaration declaration;
  PHX_ASSIGN_OR_RETURN(*declaration.mutable_config(), ReadText(files.config));
  declaration.set_title(std::filesystem::path(files.config).filename());
  if (!files.fleet.empty()) {
    PHX_ASSIGN_OR_RETURN(*declaration.mutable_fleet(), ReadText(files.fleet));
  }
  if (!files.vms.empty()) {
    PHX_ASSIGN_OR_RETURN(*declaration.mutable_vms(), ReadText(files.vms));
    PHX_ASSIGN_OR_RETURN(const auto scripts,
                         ReadFeatureScripts(files.config, declaration.config(), declaration.vms()));
    for (const auto& [name, content] : scripts) (*declaration.mutable_feature_scripts())[name] = content;
  }
  if (!files.lxc.empty()) {
    PHX_ASSIGN_OR_RETURN(*declaration.mutable_lxc(), ReadText(files.lxc));
  }
  if (files.secrets.empty()) return declaration;
  struct stat status{};
  if (::stat(files.secrets.c_str(), &status) != 0) return ErrnoStatus(errno, files.secrets);
  if ((status.st_mode & 0077) != 0) {
    return FailedPrecondition("{} can be read by others (mode {:o}): chmod 600 {}", files.secrets,
                              status.st_mode & 0777, files.secrets);
  }
  if (!remote && ::geteuid() == 0) {
    declaration.set_secrets_file(std::filesystem::absolute(files.secrets).lexically_normal());
    return declaration;
  }
  PHX_ASSIGN_OR_RETURN(std::string content, ReadText(files.secrets));
  const Secret text(std::move(content));
  const config::SecretsResult loaded = config::LoadSecrets(text.Reveal());
  if (!loaded.ok()) return InvalidArgument("{}:\n{}", files.secrets, config::Render(loaded.findings.errors));
  for (const auto& [name, secret] : loaded.secrets) {
    (*declaration.mutable_secrets())[name] = secret.Reveal();
  }
  return declaration;
}

}  // namespace phoenix::cli

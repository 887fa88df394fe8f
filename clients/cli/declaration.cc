#include "clients/cli/declaration.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "orchestrator/config/secrets.h"

namespace phoenix::cli {

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(errno == 0 ? ENOENT : errno, path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<orchestrator::v1::Declaration> ReadDeclaration(const DeclarationFiles& files, bool remote) {
  orchestrator::v1::Declaration declaration;
  PHX_ASSIGN_OR_RETURN(*declaration.mutable_config(), ReadText(files.config));
  declaration.set_title(std::filesystem::path(files.config).filename());
  if (!files.fleet.empty()) {
    PHX_ASSIGN_OR_RETURN(*declaration.mutable_fleet(), ReadText(files.fleet));
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

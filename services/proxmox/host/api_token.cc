#include "services/proxmox/host/api_token.h"

#include <algorithm>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::proxmox {
namespace {

constexpr size_t kUuid = 36;

absl::Status Refuse(absl::Status status, const std::string& path) {
  return WithReason(std::move(status), {kNodeApiToken, {{"file", path}}});
}

bool IsUuid(std::string_view text) {
  if (text.size() != kUuid) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

// USER@REALM!TOKENID. What a header cannot carry is refused with everything else.
bool IsTokenId(std::string_view text) {
  const auto at = text.find('@');
  const auto mark = text.find('!');
  if (at == std::string_view::npos || mark == std::string_view::npos) return false;
  if (at == 0 || mark <= at + 1 || mark + 1 == text.size()) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}

}  // namespace

absl::StatusOr<std::optional<ApiToken>> ReadToken(const Files& files, const std::string& path,
                                                  uint32_t owner) {
  PHX_ASSIGN_OR_RETURN(auto file, files.Read(path));
  if (!file) return std::nullopt;
  const Secret content(std::move(file->content));
  if (file->uid != owner) {
    return Refuse(FailedPrecondition("{} belongs to user {}, who could put another token there: run `chown "
                                     "root {}`, or remove it to go on with pvesm",
                                     path, file->uid, path),
                  path);
  }
  if ((file->mode & 077U) != 0) {
    return Refuse(
        FailedPrecondition("{} has mode {:04o}, so that others than root can read the token: run "
                           "`chmod 600 {}`, and make a new token if others may have seen it (`pveum "
                           "user token remove root@pam phoenix`, then add it again)",
                           path, file->mode, path),
        path);
  }
  std::string_view text = content.Reveal();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || !IsTokenId(text.substr(0, equals)) ||
      !IsUuid(text.substr(equals + 1))) {
    return Refuse(
        FailedPrecondition("{} holds no API token: it must be one line such as "
                           "root@pam!phoenix=01234567-89ab-cdef-0123-456789abcdef, with the id and "
                           "the value that `pveum user token add root@pam phoenix --privsep 0` shows",
                           path),
        path);
  }
  return ApiToken{std::string(text.substr(0, equals)), Secret(std::string(text))};
}

}  // namespace phoenix::proxmox

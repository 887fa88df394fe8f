#include "services/samba/api/samba_convert.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "services/samba/domain/parameters.h"

namespace phoenix::samba {
namespace {

constexpr std::string_view kShares = "shares/";
constexpr std::string_view kUsers = "users/";
constexpr size_t kEtagLength = 16;

absl::StatusOr<bool> IsAbsent(v1::Presence presence) {
  switch (presence) {
    case v1::PRESENCE_UNSPECIFIED:
    case v1::PRESENCE_PRESENT:
      return false;
    case v1::PRESENCE_ABSENT:
      return true;
    default:
      return InvalidArgument("presence {} is unknown to this version", static_cast<int>(presence));
  }
}

absl::StatusOr<ShareAcl> AclOf(v1::ShareAcl acl) {
  switch (acl) {
    case v1::SHARE_ACL_UNSPECIFIED:
      return ShareAcl::kUnsaid;
    case v1::SHARE_ACL_POSIX:
      return ShareAcl::kPosix;
    case v1::SHARE_ACL_WINDOWS:
      return ShareAcl::kWindows;
    default:
      return InvalidArgument("acl {} is unknown to this version", static_cast<int>(acl));
  }
}

v1::ShareAcl AclOf(ShareAcl acl) {
  if (acl == ShareAcl::kUnsaid) return v1::SHARE_ACL_UNSPECIFIED;
  return acl == ShareAcl::kPosix ? v1::SHARE_ACL_POSIX : v1::SHARE_ACL_WINDOWS;
}

v1::Presence PresenceOf(bool absent) { return absent ? v1::PRESENCE_ABSENT : v1::PRESENCE_PRESENT; }

absl::StatusOr<std::string> Strip(std::string_view name, std::string_view prefix, std::string_view form) {
  const std::string_view rest = name.starts_with(prefix) ? name.substr(prefix.size()) : std::string_view();
  if (rest.empty() || rest.find('/') != std::string_view::npos) {
    return WithViolations(InvalidArgument("'{}' is not a resource name of the form {}", name, form),
                          {{"name", fmt::format("must have the form {}", form)}});
  }
  return std::string(rest);
}

// What the options say of a parameter that has a field of its own.
bool OptionOr(const ShareSpec& spec, std::string_view parameter, bool otherwise) {
  for (const auto& [name, value] : spec.options) {
    const auto canonical = Canonical(name, value);
    if (canonical && canonical->name == parameter) return ParseBool(canonical->value).value_or(otherwise);
  }
  return otherwise;
}

// What resource and spec say in the same fields. For what is not set, an option that says it by another name
// counts, and then Samba's own default.
template <class Share>
ShareSpec SharedFields(const Share& share) {
  ShareSpec spec;
  spec.path = share.path();
  spec.valid_users = {share.valid_users().begin(), share.valid_users().end()};
  spec.options = {share.options().begin(), share.options().end()};
  spec.browseable = share.has_browseable() ? share.browseable() : OptionOr(spec, "browseable", true);
  spec.read_only = share.has_read_only() ? share.read_only() : OptionOr(spec, "read only", true);
  spec.guest_ok = share.has_guest_ok() ? share.guest_ok() : OptionOr(spec, "guest ok", false);
  return spec;
}

bool IsOn(const Parameters& parameters, const std::string& name, bool by_default) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? by_default : ParseBool(found->second).value_or(by_default);
}

}  // namespace

absl::StatusOr<SambaSpec> ParseSpec(std::string_view type, std::string_view bytes) {
  if (type != v1::SambaSpec::descriptor()->full_name()) {
    return InvalidArgument("the samba service takes specs of type {}, not '{}'",
                           v1::SambaSpec::descriptor()->full_name(), type);
  }
  v1::SambaSpec proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("the spec's content is no {} message", type);
  }
  return ToSpec(proto);
}

absl::StatusOr<SambaSpec> ToSpec(const v1::SambaSpec& proto) {
  SambaSpec spec;
  for (const auto& share : proto.shares()) {
    ShareSpec wanted = SharedFields(share);
    wanted.name = share.name();
    PHX_ASSIGN_OR_RETURN(wanted.absent, IsAbsent(share.presence()));
    PHX_ASSIGN_OR_RETURN(wanted.acl, AclOf(share.acl()));
    if (share.has_previous_versions()) {
      wanted.previous_versions =
          PreviousVersions{share.previous_versions().format(), share.previous_versions().local_time()};
    }
    wanted.origin = share.origin();
    spec.shares.push_back(std::move(wanted));
  }
  for (const auto& user : proto.users()) {
    PHX_ASSIGN_OR_RETURN(const bool absent, IsAbsent(user.presence()));
    spec.users.push_back({user.name(), user.password_secret(), absent, user.origin()});
  }
  spec.globals = {proto.globals().begin(), proto.globals().end()};
  spec.usual_globals = {proto.usual_globals().begin(), proto.usual_globals().end()};
  spec.clients = {proto.clients().begin(), proto.clients().end()};
  spec.partial = proto.partial();
  spec.prune_shares = proto.prune_shares();
  spec.prune_rules = proto.prune_rules();
  return spec;
}

v1::SambaSpec ToProto(const SambaSpec& spec) {
  v1::SambaSpec proto;
  for (const ShareSpec& share : spec.shares) {
    auto* out = proto.add_shares();
    out->set_name(share.name);
    out->set_path(share.path);
    for (const auto& user : share.valid_users) out->add_valid_users(user);
    out->set_browseable(share.browseable);
    out->set_read_only(share.read_only);
    out->set_guest_ok(share.guest_ok);
    for (const auto& [name, value] : share.options) (*out->mutable_options())[name] = value;
    if (share.previous_versions) {
      out->mutable_previous_versions()->set_format(share.previous_versions->format);
      out->mutable_previous_versions()->set_local_time(share.previous_versions->local_time);
    }
    out->set_acl(AclOf(share.acl));
    out->set_presence(PresenceOf(share.absent));
    out->set_origin(share.origin);
  }
  for (const UserSpec& user : spec.users) {
    auto* out = proto.add_users();
    out->set_name(user.name);
    out->set_password_secret(user.password_secret);
    out->set_presence(PresenceOf(user.absent));
    out->set_origin(user.origin);
  }
  for (const auto& [name, value] : spec.globals) (*proto.mutable_globals())[name] = value;
  for (const auto& name : spec.usual_globals) proto.add_usual_globals(name);
  for (const auto& client : spec.clients) proto.add_clients(client);
  proto.set_partial(spec.partial);
  proto.set_prune_shares(spec.prune_shares);
  proto.set_prune_rules(spec.prune_rules);
  return proto;
}

v1::Share ToProto(const Section& section, bool managed) {
  v1::Share out;
  out.set_name(std::string(kShares) + section.name);
  std::string text = section.name;
  for (const auto& [name, value] : section.parameters) {
    text += fmt::format("\n{}={}", name, value);
    if (name == "path") {
      out.set_path(value);
    } else if (name == "valid users") {
      std::string word;
      for (const char c : value + " ") {
        if (c != ' ' && c != ',' && c != '\t') {
          word += c;
        } else if (!word.empty()) {
          out.add_valid_users(std::exchange(word, ""));
        }
      }
    } else if (name != "browseable" && name != "read only" && name != "guest ok") {
      (*out.mutable_options())[name] = value;
    }
  }
  // Samba's own defaults.
  out.set_browseable(IsOn(section.parameters, "browseable", true));
  out.set_read_only(IsOn(section.parameters, "read only", true));
  out.set_guest_ok(IsOn(section.parameters, "guest ok", false));
  out.set_managed(managed);
  out.set_etag(Sha256Hex(text).substr(0, kEtagLength));
  return out;
}

absl::StatusOr<ShareSpec> ToShareSpec(const v1::Share& share) {
  ShareSpec spec = SharedFields(share);
  PHX_ASSIGN_OR_RETURN(spec.name, ParseShareName(share.name()));
  spec.origin = "share";
  return spec;
}

absl::Status MergeShare(const v1::Share& from, const google::protobuf::FieldMask& mask, v1::Share& into) {
  constexpr std::string_view kUpdatable[] = {"path",      "valid_users", "browseable",
                                             "read_only", "guest_ok",    "options"};
  v1::Share chosen = from;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  for (const std::string_view name : kUpdatable) {
    const auto* field = v1::Share::descriptor()->FindFieldByName(std::string(name));
    const bool set = field->is_repeated() ? from.GetReflection()->FieldSize(from, field) > 0
                                          : from.GetReflection()->HasField(from, field);
    const bool named = std::find(mask.paths().begin(), mask.paths().end(), name) != mask.paths().end();
    if (mask.paths().empty() ? set : named) fields.push_back(field);
  }
  for (const std::string& path : mask.paths()) {
    if (std::find(std::begin(kUpdatable), std::end(kUpdatable), path) != std::end(kUpdatable)) continue;
    return WithViolations(InvalidArgument("'{}' cannot be updated", path),
                          {{"update_mask", fmt::format("may name {}", fmt::join(kUpdatable, ", "))}});
  }
  into.GetReflection()->SwapFields(&into, &chosen, fields);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ParseShareName(std::string_view name) {
  return Strip(name, kShares, "shares/SHARE");
}
absl::StatusOr<std::string> ParseUserName(std::string_view name) { return Strip(name, kUsers, "users/USER"); }

}  // namespace phoenix::samba

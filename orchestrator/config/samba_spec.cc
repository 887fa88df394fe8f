#include <algorithm>

#include "orchestrator/config/specs.h"
#include "phoenix/samba/v1/samba.pb.h"

namespace phoenix::config {
namespace {

samba::v1::ShareAcl AclOf(ShareAcl acl) {
  switch (acl) {
    case ShareAcl::kPosix:
      return samba::v1::SHARE_ACL_POSIX;
    case ShareAcl::kWindows:
      return samba::v1::SHARE_ACL_WINDOWS;
    case ShareAcl::kUnsaid:
      break;
  }
  return samba::v1::SHARE_ACL_UNSPECIFIED;
}

}  // namespace

Spec SambaSpecOf(const Config& config, const std::set<std::string>& secret_names,
                 const std::set<std::string>& prune) {
  samba::v1::SambaSpec spec;
  spec.set_prune_shares(prune.contains("shares"));
  spec.set_prune_rules(prune.contains("rules"));
  for (const SambaShare& share : config.samba.shares) {
    auto* out = spec.add_shares();
    out->set_name(share.name);
    out->set_path(share.path);
    for (const auto& user : share.valid_users) out->add_valid_users(user);
    out->set_browseable(share.browsable);
    out->set_read_only(share.read_only);
    out->set_guest_ok(share.guest_ok);
    for (const auto& [name, value] : share.options) (*out->mutable_options())[name] = value;
    if (share.previous_versions.has_value()) {
      out->mutable_previous_versions()->set_format(share.previous_versions->format);
      out->mutable_previous_versions()->set_local_time(share.previous_versions->local_time);
    }
    out->set_acl(AclOf(share.acl));
    out->set_presence(share.absent ? samba::v1::PRESENCE_ABSENT : samba::v1::PRESENCE_PRESENT);
    out->set_origin(share.origin.ToString());
  }
  for (const SambaUser& user : config.samba.users) {
    auto* out = spec.add_users();
    out->set_name(user.name);
    // Without a password of ours the user must exist already; `samba.user` must always be able to log in.
    if (!user.absent && (user.is_samba_user || secret_names.contains(user.secret_name)))
      out->set_password_secret(user.secret_name);
    out->set_presence(user.absent ? samba::v1::PRESENCE_ABSENT : samba::v1::PRESENCE_PRESENT);
    out->set_origin(user.origin.ToString());
  }
  const bool shares = std::any_of(config.samba.shares.begin(), config.samba.shares.end(),
                                  [](const SambaShare& share) { return !share.absent; });
  if (shares) {
    auto& globals = *spec.mutable_globals();
    globals["workgroup"] = config.samba.workgroup;
    globals["server min protocol"] = config.samba.min_protocol;
    if (!config.samba.says_workgroup) spec.add_usual_globals("workgroup");
    if (!config.samba.says_min_protocol) spec.add_usual_globals("server min protocol");
    // Whether other sections of smb.conf live by it nobody here knows: it is written only where the file says
    // so.
    if (config.samba.netbios) globals["disable netbios"] = *config.samba.netbios ? "No" : "Yes";
    if (!config.samba.signing.empty()) globals["server signing"] = config.samba.signing;
    if (!config.default_subnet.empty()) spec.add_clients(config.default_subnet);
  }
  return {"samba", "phoenix.samba.v1.SambaSpec", spec.SerializeAsString()};
}

}  // namespace phoenix::config

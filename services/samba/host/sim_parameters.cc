#include "services/samba/host/sim_parameters.h"

#include <algorithm>
#include <array>

namespace phoenix::samba {
namespace {

using Kind = SimParameter::Kind;

constexpr std::array<std::string_view, 36> kGlobals = {
    "workgroup",        "netbios name",        "server string",      "server min protocol",  "server max protocol",
    "server signing",   "map to guest",        "log level",          "log file",             "max log size",
    "logging",          "deadtime",            "disable netbios",    "panic action",         "server role",
    "obey pam restrictions", "unix password sync", "passwd program", "passwd chat",          "pam password change",
    "usershare allow guests", "usershare path", "usershare max shares", "security",          "interfaces",
    "bind interfaces only", "passdb backend",  "private dir",        "registry shares",      "dns proxy",
    "wins support",     "load printers",       "realm",              "guest account",        "unix charset",
    "socket options"};

}  // namespace

const std::vector<SimParameter>& ShareParameters() {
  static const auto* parameters = new std::vector<SimParameter>{
      {"access based share enum", "No", Kind::kBool},
      {"acl allow execute always", "No", Kind::kBool},
      {"acl check permissions", "Yes", Kind::kBool},
      {"acl flag inherited canonicalization", "Yes", Kind::kBool},
      {"acl group control", "No", Kind::kBool},
      {"acl map full control", "Yes", Kind::kBool},
      {"administrative share", "No", Kind::kBool},
      {"admin users", "", Kind::kList},
      {"afs share", "No", Kind::kBool},
      {"aio read size", "1", Kind::kNumber},
      {"aio write behind", "", Kind::kText},
      {"aio write size", "1", Kind::kNumber},
      {"allocation roundup size", "0", Kind::kNumber},
      {"available", "Yes", Kind::kBool},
      {"blocking locks", "Yes", Kind::kBool},
      {"block size", "1024", Kind::kNumber},
      {"browseable", "Yes", Kind::kBool},
      {"case sensitive", "Auto", Kind::kText},
      {"check parent directory delete on close", "No", Kind::kBool},
      {"comment", "", Kind::kText},
      {"create mask", "0744", Kind::kOctal},
      {"csc policy", "manual", Kind::kText},
      {"cups options", "", Kind::kText},
      {"default case", "lower", Kind::kText},
      {"default devmode", "Yes", Kind::kBool},
      {"delete readonly", "No", Kind::kBool},
      {"delete veto files", "No", Kind::kBool},
      {"dfree cache time", "0", Kind::kNumber},
      {"dfree command", "", Kind::kText},
      {"directory mask", "0755", Kind::kOctal},
      {"directory name cache size", "100", Kind::kNumber},
      {"dmapi support", "No", Kind::kBool},
      {"dont descend", "", Kind::kText},
      {"dos filemode", "No", Kind::kBool},
      {"dos filetime resolution", "No", Kind::kBool},
      {"dos filetimes", "Yes", Kind::kBool},
      {"durable handles", "Yes", Kind::kBool},
      {"ea support", "Yes", Kind::kBool},
      {"fake directory create times", "No", Kind::kBool},
      {"fake oplocks", "No", Kind::kBool},
      {"follow symlinks", "Yes", Kind::kBool},
      {"smbd force process locks", "No", Kind::kBool},
      {"force create mode", "0000", Kind::kOctal},
      {"force directory mode", "0000", Kind::kOctal},
      {"force group", "", Kind::kText},
      {"force printername", "No", Kind::kBool},
      {"force unknown acl user", "No", Kind::kBool},
      {"force user", "", Kind::kText},
      {"fstype", "NTFS", Kind::kText},
      {"guest ok", "No", Kind::kBool},
      {"guest only", "No", Kind::kBool},
      {"hide dot files", "Yes", Kind::kBool},
      {"hide files", "", Kind::kText},
      {"hide new files timeout", "0", Kind::kNumber},
      {"hide special files", "No", Kind::kBool},
      {"hide unreadable", "No", Kind::kBool},
      {"hide unwriteable files", "No", Kind::kBool},
      {"honor change notify privilege", "No", Kind::kBool},
      {"hosts allow", "", Kind::kList},
      {"hosts deny", "", Kind::kList},
      {"inherit acls", "No", Kind::kBool},
      {"inherit owner", "no", Kind::kText},
      {"inherit permissions", "No", Kind::kBool},
      {"invalid users", "", Kind::kList},
      {"kernel oplocks", "No", Kind::kBool},
      {"kernel share modes", "No", Kind::kBool},
      {"level2 oplocks", "Yes", Kind::kBool},
      {"locking", "Yes", Kind::kBool},
      {"lppause command", "", Kind::kText},
      {"lpq command", "%p", Kind::kText},
      {"lpresume command", "", Kind::kText},
      {"lprm command", "", Kind::kText},
      {"magic output", "", Kind::kText},
      {"magic script", "", Kind::kText},
      {"mangled names", "illegal", Kind::kText},
      {"mangling char", "~", Kind::kText},
      {"map acl inherit", "No", Kind::kBool},
      {"map archive", "Yes", Kind::kBool},
      {"map hidden", "No", Kind::kBool},
      {"map readonly", "no", Kind::kText},
      {"map system", "No", Kind::kBool},
      {"max connections", "0", Kind::kNumber},
      {"max print jobs", "1000", Kind::kNumber},
      {"max reported print jobs", "0", Kind::kNumber},
      {"min print space", "0", Kind::kNumber},
      {"msdfs proxy", "", Kind::kText},
      {"msdfs root", "No", Kind::kBool},
      {"msdfs shuffle referrals", "No", Kind::kBool},
      {"nt acl support", "Yes", Kind::kBool},
      {"ntvfs handler", "unixuid, default", Kind::kList},
      {"oplocks", "Yes", Kind::kBool},
      {"path", "", Kind::kText},
      {"posix locking", "Yes", Kind::kBool},
      {"postexec", "", Kind::kText},
      {"preexec", "", Kind::kText},
      {"preexec close", "No", Kind::kBool},
      {"preserve case", "Yes", Kind::kBool},
      {"printable", "No", Kind::kBool},
      {"print command", "", Kind::kText},
      {"printer name", "", Kind::kText},
      {"printing", "cups", Kind::kText},
      {"printjob username", "%U", Kind::kText},
      {"print notify backchannel", "No", Kind::kBool},
      {"queuepause command", "", Kind::kText},
      {"queueresume command", "", Kind::kText},
      {"read list", "", Kind::kList},
      {"read only", "Yes", Kind::kBool},
      {"root postexec", "", Kind::kText},
      {"root preexec", "", Kind::kText},
      {"root preexec close", "No", Kind::kBool},
      {"server smb encrypt", "default", Kind::kText},
      {"short preserve case", "Yes", Kind::kBool},
      {"smbd async dosmode", "No", Kind::kBool},
      {"smbd getinfo ask sharemode", "Yes", Kind::kBool},
      {"smbd max async dosmode", "0", Kind::kNumber},
      {"smbd max xattr size", "65536", Kind::kNumber},
      {"smbd search ask sharemode", "Yes", Kind::kBool},
      {"spotlight", "No", Kind::kBool},
      {"spotlight backend", "noindex", Kind::kText},
      {"store dos attributes", "Yes", Kind::kBool},
      {"strict allocate", "No", Kind::kBool},
      {"strict locking", "Auto", Kind::kText},
      {"strict rename", "No", Kind::kBool},
      {"strict sync", "Yes", Kind::kBool},
      {"sync always", "No", Kind::kBool},
      {"use client driver", "No", Kind::kBool},
      {"use sendfile", "No", Kind::kBool},
      {"valid users", "", Kind::kList},
      {"veto files", "", Kind::kText},
      {"veto oplock files", "", Kind::kText},
      {"vfs objects", "", Kind::kList},
      {"volume", "", Kind::kText},
      {"volume serial number", "-1", Kind::kNumber},
      {"wide links", "No", Kind::kBool},
      {"write list", "", Kind::kList},  };
  return *parameters;
}

const SimParameter* FindShareParameter(std::string_view name) {
  for (const SimParameter& parameter : ShareParameters()) {
    if (Squeezed(parameter.name) == Squeezed(name)) return &parameter;
  }
  return nullptr;
}

bool IsKnownGlobal(std::string_view name) {
  return std::any_of(kGlobals.begin(), kGlobals.end(),
                     [&](std::string_view known) { return Squeezed(known) == Squeezed(name); });
}

Parameters GlobalDefaults() {
  return {{"workgroup", "WORKGROUP"},       {"server min protocol", "SMB2_02"},
          {"passdb backend", "tdbsam"},     {"private dir", "/var/lib/samba/private"},
          {"registry shares", "No"},        {"map to guest", "Never"},
          {"server max protocol", "SMB3"}};
}

}  // namespace phoenix::samba

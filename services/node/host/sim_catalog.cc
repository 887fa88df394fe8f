#include "services/node/host/sim_catalog.h"

namespace phoenix::node {
namespace {

// In the manner of the file that comes with the package: comments, [global], the three default shares.
constexpr char kSmbConf[] = R"(# Configuration of the Samba suite on this machine.
# Lines that begin with ; or # are comments.

[global]
   workgroup = WORKGROUP
   log file = /var/log/samba/log.%m
   max log size = 1000
   logging = file
   panic action = /usr/share/samba/panic-action %d
   server role = standalone server
   obey pam restrictions = yes
   unix password sync = yes
   pam password change = yes
   map to guest = bad user
   usershare allow guests = yes

[homes]
   comment = Home Directories
   browseable = no
   read only = yes
   create mask = 0700
   directory mask = 0700
   valid users = %S

[printers]
   comment = All Printers
   browseable = no
   path = /var/tmp
   printable = yes
   guest ok = no
   read only = yes
   create mask = 0700

[print$]
   comment = Printer Drivers
   path = /var/lib/samba/printers
   browseable = yes
   read only = yes
   guest ok = no
)";

constexpr char kExports[] = R"(# /etc/exports: file systems that NFS clients may use; see exports(5).
#
# /srv/homes       hostname1(rw,sync,no_subtree_check)
)";

constexpr char kUfwConf[] = R"(# /etc/ufw/ufw.conf
ENABLED=no
LOGLEVEL=low
)";

std::vector<CatalogPackage> MakeCatalog() {
  return {
      {"libtalloc2", {}, {}, {}, {}},
      {"rpcbind",
       {},
       {{"rpcbind.service", "enabled", {"rpcbind.socket"}, ""},
        {"rpcbind.socket", "enabled", {}, ""},
        {"portmap.service", "alias", {}, "rpcbind.service"}},
       {},
       {}},
      {"nfs-common",
       {"rpcbind"},
       {{"nfs-client.target", "enabled", {}, ""},
        {"nfs-idmapd.service", "static", {"var-lib-nfs-rpc_pipefs.mount"}, ""},
        {"proc-fs-nfsd.mount", "static", {}, ""},
        {"rpc-statd.service", "static", {"rpcbind.socket"}, ""},
        {"var-lib-nfs-rpc_pipefs.mount", "static", {}, ""}},
       {{"/etc/idmapd.conf", "[General]\nVerbosity = 0\n"}},
       {}},
      {"nfs-kernel-server",
       {"nfs-common", "rpcbind"},
       {{"nfs-blkmap.service", "enabled", {}, ""},
        {"nfs-kernel-server.service", "alias", {}, "nfs-server.service"},
        {"nfs-mountd.service", "static", {"proc-fs-nfsd.mount", "rpcbind.socket"}, ""},
        {"nfs-server.service",
         "enabled",
         {"nfs-idmapd.service", "nfs-mountd.service", "nfsdcld.service", "proc-fs-nfsd.mount",
          "rpc-statd.service", "rpcbind.socket"},
         ""},
        {"nfsdcld.service", "static", {}, ""}},
       {{"/etc/exports", kExports}},
       {}},
      {"samba-common", {}, {}, {{"/etc/samba/smb.conf", kSmbConf}}, {"/etc/samba"}},
      {"samba-common-bin", {"libtalloc2", "samba-common"}, {}, {}, {}},
      {"samba",
       {"libtalloc2", "samba-common", "samba-common-bin"},
       {{"nmbd.service", "enabled", {}, ""},
        {"samba-ad-dc.service", "enabled", {}, ""},
        {"smb.service", "alias", {}, "smbd.service"},
        {"smbd.service", "enabled", {}, ""}},
       {},
       {}},
      {"samba-vfs-modules", {"libtalloc2"}, {}, {}, {}},
      {"smbclient", {"libtalloc2", "samba-common"}, {}, {}, {}},
      {"iptables", {}, {}, {}, {}},
      {"ufw",
       {"iptables"},
       {{"ufw.service", "enabled", {}, ""}},
       {{"/etc/ufw/ufw.conf", kUfwConf}},
       {"/etc/ufw"}},
      {"pve-firewall", {"iptables"}, {{"pve-firewall.service", "enabled", {}, ""}}, {}, {}},
  };
}

}  // namespace

const std::vector<CatalogPackage>& Catalog() {
  static const std::vector<CatalogPackage> catalog = MakeCatalog();
  return catalog;
}

const CatalogPackage* FindInCatalog(std::string_view name) {
  for (const CatalogPackage& package : Catalog()) {
    if (package.name == name) return &package;
  }
  return nullptr;
}

}  // namespace phoenix::node

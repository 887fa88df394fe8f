// The loader states the rules of the nodes again, since it must not know them. Here both are asked: what the
// loader takes, no node refuses for what stands in the file.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "orchestrator/config/loader.h"
#include "orchestrator/config/nfs_grammar.h"
#include "orchestrator/config/nfs_meaning.h"
#include "orchestrator/config/specs.h"
#include "orchestrator/config/zfs_size.h"
#include "services/nfs/api/nfs_convert.h"
#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_options.h"
#include "services/nfs/domain/spec_check.h"
#include "services/proxmox/api/proxmox_convert.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/domain/storage_spec_check.h"
#include "services/samba/api/samba_convert.h"
#include "services/samba/domain/samba_spec.h"
#include "services/zfs/api/zfs_convert.h"
#include "services/zfs/domain/zfs_planning.h"
#include "services/zfs/domain/zfs_property.h"

namespace phoenix {
namespace {

using Texts = std::vector<std::string>;

// Everything that the nodes find wrong with the specs, whatever they look like themselves.
Texts RefusedByNodes(const config::Config& config) {
  std::vector<FieldViolation> found;
  const auto add = [&](const std::vector<FieldViolation>& more) {
    found.insert(found.end(), more.begin(), more.end());
  };
  for (const config::Spec& spec : config::SpecsOf(config, {"samba/users/heads"})) {
    if (spec.participant == "zfs") {
      const auto parsed = zfs::ParseSpec(spec.type, spec.content);
      if (!parsed.ok()) return {parsed.status().ToString()};
      const zfs::ZfsState nothing{};
      const zfs::Ownership none{};
      const zfs::GivenKeys no_keys{};
      zfs::Planning planning(*parsed, nothing, none, no_keys);
      zfs::CheckSpec(planning);
      add(planning.violations);
    } else if (spec.participant == "nfs") {
      const auto parsed = nfs::ParseSpec(spec.type, spec.content);
      if (!parsed.ok()) return {parsed.status().ToString()};
      std::vector<nfs::PlanNote> notes;
      add(nfs::CheckSpec(*parsed, notes));
    } else if (spec.participant == "samba") {
      auto parsed = samba::ParseSpec(spec.type, spec.content);
      if (!parsed.ok()) return {parsed.status().ToString()};
      add(samba::Canonicalise(*parsed));
    } else {
      const auto parsed = proxmox::ParseSpec(spec.type, spec.content);
      if (!parsed.ok()) return {parsed.status().ToString()};
      add(proxmox::CheckSpec(*parsed));
    }
  }
  Texts texts;
  for (const FieldViolation& one : found) texts.push_back(one.field + ": " + one.description);
  return texts;
}

// A document of two pools, a dataset, an export and a share, in which one text at a time is another one.
struct Place {
  const char* name;
  const char* usual;  // JSON
};
constexpr Place kPlaces[] = {
    {"POOL", R"("tank")"},
    {"LEVEL", R"("mirror")"},
    {"DISK", R"("/dev/disk/by-id/a")"},
    {"DATASET", R"("a")"},
    {"PROPERTIES", R"("quota=1T")"},
    {"MOUNTPOINT", R"("/srv/a")"},
    {"OWNER", R"("heads")"},
    {"SECRET", R"("zfs/a")"},
    {"FORMAT", R"("hex")"},
    {"ALGORITHM", R"("aes-128-ccm")"},
    {"TYPE", R"("nfs")"},
    {"EXPORT", R"("/srv/a")"},
    {"CLIENT", R"("10.0.0.0/24")"},
    {"OPTION", R"("ro")"},
    {"SHARE", R"("data")"},
    {"SHARED", R"("/srv/a")"},
    {"USER", R"("heads")"},
    {"OPTIONS", R"("comment=x")"},
    {"SUBNET", R"("10.0.0.0/24")"},
    {"SERVER", R"("nas")"},
    {"ID", R"("store")"},
};

std::string Document(const std::string& place, const std::string& json) {
  std::string text = R"({"network": {"nfs_server": @SERVER@, "default_subnet": @SUBNET@},
    "zfs": {"pools": [{"name": @POOL@, "raid_level": @LEVEL@, "disks": [@DISK@, "/dev/disk/by-id/b"]}, {"name": "other"}],
            "datasets": [{"name": @DATASET@, "pool": "other", "properties": @PROPERTIES@, "mountpoint": @MOUNTPOINT@,
                          "encryption": {"key": {"secret": @SECRET@}, "format": @FORMAT@, "algorithm": @ALGORITHM@},
                          "owner": @OWNER@, "proxmox_storage_type": @TYPE@, "proxmox_content_type": "iso"}]},
    "proxmox_storage_ids": {"other_a": @ID@},
    "nfs": {"exports": [{"path": @EXPORT@, "clients": [@CLIENT@], "options": ["secure", @OPTION@]},
                        {"path": @EXPORT@, "clients": ["10.0.9.0/24"], "options": ["rw"]}]},
    "samba": {"user": "heads", "shares": [{"name": @SHARE@, "path": @SHARED@, "valid_users": [@USER@],
                                           "options": @OPTIONS@}]}})";
  for (const Place& one : kPlaces) {
    const std::string mark = fmt::format("@{}@", one.name);
    const std::string value = place == one.name ? json : one.usual;
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
      text.replace(at, mark.size(), value);
  }
  return text;
}

// What people write, and what the nodes refuse; each is tried in every place.
const Texts& Words() {
  static const Texts words = {"tank",
                              "cache",
                              "special",
                              "dedup",
                              "log",
                              "mirror1",
                              "spare",
                              "draid",
                              "1tank",
                              "a b",
                              "a/b",
                              "a//b",
                              "a.b",
                              "A",
                              "Heads",
                              "root",
                              "@root",
                              "@Staff",
                              "+wheel",
                              "pc$",
                              "admin$",
                              "ADMIN$",
                              "IPC$",
                              "homes",
                              "_x",
                              "-x",
                              "",
                              " ",
                              "ä",
                              "local",
                              "none",
                              "legacy",
                              "/",
                              "//srv//x/",
                              "/srv/./x",
                              "/srv/../x",
                              "/srv/a",
                              "/srv/a b",
                              "/srv/a(b",
                              "/srv/a;b",
                              "/srv/a%U",
                              "/srv/a\\\\134",
                              "/dev/sdb",
                              "/dev/disk/by-id/c",
                              "/dev/disk/by-path/c",
                              "/dev/disk/by-id/c-part1",
                              "/dev/disk/by-id/c-part",
                              "/dev/disk/by-partuuid/c",
                              "/dev/disk/c",
                              "/dev//disk/by-id/c",
                              "10.0.0.7",
                              "10.0.0.7/24",
                              "10.0.9.7",
                              "10.0.0.0/33",
                              "10.0.8.0/23",
                              "fd00::1",
                              "fd00::/64",
                              "nas",
                              "NAS.example.org",
                              "nas/24",
                              "@group",
                              "*",
                              "*.example.org",
                              "10.0.0",
                              "single",
                              "stripe",
                              "RAIDZ1",
                              "draid2",
                              "draid1:1d",
                              "raid5",
                              "quota=.5T",
                              "quota=0.001Z",
                              "quota=1Z",
                              "quota=1Gi",
                              "quota=1gib",
                              "quota=lots",
                              "recordsize=100K",
                              "recordsize=1M",
                              "refreservation=auto",
                              "userquota@heads=1G",
                              "groupquota@x=1G",
                              "version=5",
                              "encryption=on",
                              "keyformat=raw",
                              "raw",
                              "prompt",
                              "aes-256-gcm",
                              "aes-256-xts",
                              "recordsiz=1",
                              "acltype=posixacl",
                              "acltype=posix2",
                              "snapshot_limit=none",
                              "snapshot_limit=5K",
                              "checksum=md5",
                              "dnodesize=4k",
                              "mountpoint=/srv//b/",
                              "org:note=x",
                              "Org:note=x",
                              "phoenix:x=1",
                              "volsize=1G",
                              "snapdev=hidden",
                              "special_small_blocks=0",
                              "sharenfs=on",
                              "copies=4",
                              "rw",
                              "sync",
                              "rw,sync",
                              "security_label",
                              "xprtsec=tls",
                              "reexport=auto-fsidnum",
                              "anonuid=-1",
                              "anonuid=4294967295",
                              "anonuid=4294967296",
                              "fsid=root",
                              "fsid=x",
                              "sec=sys:krb5",
                              "sec=sys: krb5",
                              "sec=",
                              "sec=ntlm",
                              "refer=/x@nas",
                              "refer=/x",
                              "replicas=nas",
                              "mountpoint",
                              "mp=/x",
                              "mp=/x y",
                              "insecure",
                              "noatime",
                              "vers=4",
                              "comment=B\u00fcro",
                              "=",
                              "=yes",
                              "a=b",
                              "browseable=no",
                              "read only=maybe",
                              "create mask=0660 create mode=0600",
                              "writable=yes",
                              "include=/x",
                              "[x]=y",
                              "x",
                              "zfspool",
                              "dir",
                              "nfs",
                              "cifs",
                              "lvm",
                              "a-b",
                              "a-",
                              std::string(33, 'x'),
                              std::string(81, 'x'),
                              std::string(240, 'x'),
                              std::string(256, 'x'),
                              "/" + std::string(1100, 'x'),
                              "\\n",
                              "a\\nb",
                              "a\\u0007b"};
  return words;
}

TEST(Agreement, WhatTheLoaderTakesNoNodeRefuses) {
  std::map<std::string, int> taken;
  for (const Place& place : kPlaces) {
    for (const std::string& word : Words()) {
      const std::string text = Document(place.name, fmt::format("\"{}\"", word));
      const config::LoadResult loaded = config::Load(text);
      if (!loaded.ok()) continue;
      ++taken[place.name];
      EXPECT_THAT(RefusedByNodes(loaded.config), testing::IsEmpty()) << place.name << ": " << word;
    }
  }
  // Else nothing was compared.
  for (const Place& place : kPlaces) EXPECT_GT(taken[place.name], 0) << place.name;
}

TEST(Agreement, PreviousVersionsAndAclsAreJudgedTheSame) {
  const Texts options = {"comment=x",
                         "vfs objects=fruit, Streams_Xattr",
                         "vfs objects=ACL_xattr",
                         "vfs objects=acl_tdb",
                         "vfs object=snapper",
                         "vfs objects=shadow_copy recycle",
                         "inherit acls=no",
                         "map acl inherit=off",
                         "nt acl support=0",
                         "shadow:format=%F",
                         "shadow:sort=desc",
                         "shadow:basedir=/srv",
                         "Shadow:LocalTime=yes"};
  const Texts formats = {
      "%F", "%Y%m%d", "%y-%j",   "%Y-%m", "%M%Y%d", "%b%d%Y", "",       "%",
      "%s", "%F_%T%", "@GMT-%F", "a b%F", "%F/%T",  "daily",  "%e%m%Y", std::string(199, 'x') + "%F"};
  int taken = 0, refused = 0;
  const auto both = [&](const std::string& members) {
    const config::LoadResult loaded = config::Load(
        fmt::format(R"({{"samba": {{"user": "heads", "shares": [{{"path": "/srv/a", {}}}]}}}})", members));
    const bool there = loaded.ok() && RefusedByNodes(loaded.config).empty();
    EXPECT_EQ(loaded.ok(), there) << members;
    ++(loaded.ok() ? taken : refused);
  };
  for (const std::string& format : formats)
    both(fmt::format(R"("previous_versions": {{"format": "{}"}})", format));
  for (const std::string& option : options) {
    for (const char* acl : {"", "posix", "windows"}) {
      for (const char* versions : {"false", "true"})
        both(fmt::format(R"("options": "{}", "acl": "{}", "previous_versions": {})", option, acl, versions));
    }
  }
  EXPECT_GT(taken, 20);
  EXPECT_GT(refused, 20);
}

// The nodes know which options there are; the loader is the stricter one about their values.
TEST(Agreement, OptionsOfStoragesAreTheSame) {
  for (const char* type : {"zfspool", "dir", "nfs", "cifs"}) {
    std::map<std::string, int> taken;
    for (const proxmox::OptionRule& rule : proxmox::FindType(type)->options) {
      for (const char* value :
           {"1",           "0",        "yes",     "maybe", "7",   "16k", "12k",         "/x", "x", "a b",
            "keep-last=3", "iso=../x", "iso=a/b", "3.0",   "raw", "off", "vers=4,hard", "-x", "",  "/a;b"}) {
        const auto loaded = config::Load(fmt::format(
            R"({{"network": {{"nfs_server": "nas"}}, "zfs": {{"datasets": [{{"name": "tank/a", "proxmox_storage_type": "{}",
                 "proxmox_content_type": "images", "proxmox_storage_options": {{"{}": "{}"}}}}]}},
                 "nfs": {{"exports": [{{"path": "/tank/a", "clients": ["10.0.0.0/24"], "options": ["rw"]}}]}},
                 "samba": {{"user": "heads", "shares": [{{"name": "a", "path": "/tank/a"}}]}}}})",
            type, rule.name, value));
        if (!loaded.ok()) continue;
        ++taken[std::string(rule.name)];
        EXPECT_THAT(RefusedByNodes(loaded.config), testing::IsEmpty()) << rule.name << "=" << value;
      }
      // A key of its own says it, or it is an older one.
      const bool own = rule.fixed || rule.name == "username" || rule.name == "maxfiles";
      if (rule.name != "snapshot-as-volume-chain")
        EXPECT_EQ(taken.count(std::string(rule.name)), own ? 0u : 1u) << rule.name;
    }
  }
}

TEST(Agreement, SizesAreTheSame) {
  std::mt19937 random(1);
  const Texts parts = {"0", "1", "7", "512", "999999", ".", "5", "B", "K", "k", "M",
                       "G", "T", "P", "E",   "Z",      "i", "I", "b", " ", "-"};
  int taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (unsigned length = random() % 5; length-- > 0;) text += parts[random() % parts.size()];
    const auto here = config::ParseZfsSize(text);
    const auto there = zfs::ParseSize(text);
    ASSERT_EQ(here.ok(), there.ok()) << text;
    if (!here.ok()) continue;
    ++taken;
    ASSERT_EQ(*here, *there) << text;
  }
  EXPECT_GT(taken, 1000);
}

TEST(Agreement, PropertiesAreTheSame) {
  for (const zfs::PropertyRule& rule : zfs::PropertyRules()) {
    for (const char* value :
         {"on",     "off",    "none",  "all",       "some",       "1",      "5",
          "16K",    "legacy", "/x",    "sensitive", "formD",      "verify", "skein,verify",
          "always", "x",      "nfsv4", "hidden",    "restricted", "lz4",    "most"}) {
      const auto loaded = config::Load(
          fmt::format(R"({{"zfs": {{"datasets": [{{"name": "tank/a", "properties": {{"{}": "{}"}}}}]}}}})",
                      rule.name, value));
      const bool there = rule.filesystems && zfs::CanonicalValue(rule.name, value).ok();
      // The loader is the stricter one: block sizes, and what a file system can only pass on to volumes.
      if ((rule.name == "special_small_blocks" || rule.name == "snapdev" || rule.name == "volmode") &&
          !loaded.ok())
        continue;
      EXPECT_EQ(loaded.ok(), there) << rule.name << "=" << value;
    }
  }
}

TEST(Agreement, OptionsOfExportsMeanTheSame) {
  std::mt19937 random(1);
  const Texts options = {"ro",
                         "rw",
                         "sync",
                         "async",
                         "secure",
                         "insecure",
                         "wdelay",
                         "no_wdelay",
                         "hide",
                         "nohide",
                         "crossmnt",
                         "subtree_check",
                         "no_subtree_check",
                         "root_squash",
                         "no_root_squash",
                         "all_squash",
                         "no_all_squash",
                         "secure_locks",
                         "insecure_locks",
                         "auth_nlm",
                         "no_auth_nlm",
                         "acl",
                         "no_acl",
                         "pnfs",
                         "no_pnfs",
                         "nordirplus",
                         "anonuid=65534",
                         "anonuid=0065534",
                         "anongid=7",
                         "fsid=0",
                         "fsid=root",
                         "mp",
                         "mountpoint",
                         "mountpoint=/x",
                         "sec=sys",
                         "sec=unix",
                         "sec=krb5:sys",
                         "sec=sys:krb5",
                         "sec=none",
                         "sec=null",
                         "refer=/x@y",
                         "replicas=/x@y"};
  const auto some = [&] {
    Texts list;
    for (unsigned length = random() % 4; length-- > 0;) list.push_back(options[random() % options.size()]);
    return list;
  };
  int same = 0;
  for (int i = 0; i < 100000; ++i) {
    const Texts a = some(), b = some();
    const bool there = nfs::Meaning(a) == nfs::Meaning(b);
    ASSERT_EQ(config::MeaningOf(a) == config::MeaningOf(b), there)
        << fmt::format("{} | {}", fmt::join(a, ","), fmt::join(b, ","));
    same += there && a != b ? 1 : 0;
  }
  EXPECT_GT(same, 100);
}

TEST(Agreement, ClientsOverlapAlike) {
  const Texts texts = {"10.0.0.1",    "10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/23", "0.0.0.1",
                       "::1",         "fd00::/16",   "fd00::1",     "nas",         "NAS",
                       "nas.example", "@a",          "@b",          "10.0.0.1/32", "10.0.0.77/25"};
  for (const std::string& a : texts) {
    for (const std::string& b : texts) {
      EXPECT_EQ(
          config::ClientsOverlap(config::ParseNfsClient(a)->canonical, config::ParseNfsClient(b)->canonical),
          nfs::Overlap(*nfs::ParseClient(a), *nfs::ParseClient(b)))
          << a << " " << b;
    }
  }
}

}  // namespace
}  // namespace phoenix

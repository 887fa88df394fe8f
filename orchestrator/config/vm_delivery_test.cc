#include "orchestrator/config/vm_delivery.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/digest/digest.h"
#include "orchestrator/config/finding_labels.h"
#include "orchestrator/config/loader.h"
#include "orchestrator/config/user_data.h"

namespace phoenix::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kVms = R"({"vms": [
  {"vmid": 1001, "name": "one", "ip": "10.0.0.101/24", "features": ["base_setup", "docker"]},
  {"vmid": 1002, "name": "two", "ip": "10.0.0.102/24", "features": ["docker"], "node": "pve2"}]})";

FeatureScripts Scripts() {
  return {{"feature_install_base_setup.sh", "#!/bin/bash\n. ./utils.sh\n"},
          {"docker.sh", "#!/bin/bash\necho docker\n"},
          {"utils.sh", "log() { echo \"$1\"; }\n"}};
}

std::string ConfigWith(const std::string& features = "", const std::string& more = "",
                       const std::string& datasets = "") {
  return fmt::format(R"({{"network": {{"nfs_server": "10.0.0.13"}},
    "zfs": {{"pools": [{{"name": "tank"}}], "datasets": [{}]}},
    "vm_features": {{"dataset": "tank/vm-features", "scripts": "features", "common_files": "utils.sh"{}}}{}}})",
                     datasets, features, more);
}

struct Delivered {
  LoadResult loaded;
  const Dataset* operator[](const std::string& name) const { return loaded.config.FindDataset(name); }
  std::vector<std::string> Errors() const {
    std::vector<std::string> rules;
    for (const Finding& finding : loaded.findings.errors)
      rules.push_back(finding.rule + " " + finding.where.path);
    return rules;
  }
  std::vector<std::string> Lints() const {
    std::vector<std::string> rules;
    for (const Finding& finding : loaded.findings.lints) rules.push_back(finding.rule);
    return rules;
  }
  const NfsExport* ExportOf(const std::string& path) const {
    for (const NfsExport& entry : loaded.config.exports) {
      if (entry.path == path) return &entry;
    }
    return nullptr;
  }
};

Delivered Deliver(const std::string& config, const std::string& vms = kVms,
                  const FeatureScripts& scripts = Scripts(), const std::string& node = "pve1") {
  Delivered delivered{Load(config)};
  AddVms(vms, scripts, node, {"pve1", "pve2"}, delivered.loaded);
  return delivered;
}

TEST(Delivery, AVmGetsADatasetThatOnlyItMayMountAndRead) {
  const Delivered delivered = Deliver(ConfigWith());
  ASSERT_THAT(delivered.Errors(), IsEmpty());
  EXPECT_THAT(delivered.Lints(), IsEmpty());
  const Dataset* scripts = delivered["tank/vm-features/1001"];
  ASSERT_NE(scripts, nullptr);
  EXPECT_EQ(scripts->mountpoint, "/tank/vm-features/1001");
  EXPECT_EQ(scripts->ownership->mode, 0750U);
  // A VM that reads must not change it: undo would take that for somebody's write.
  EXPECT_EQ(scripts->properties.at("atime").value, "off");
  std::vector<std::string> names;
  for (const DatasetFile& file : scripts->files) {
    names.push_back(file.path);
    EXPECT_EQ(file.mode & 0022U, 0U) << file.path << " may be written by others than root";
    EXPECT_EQ(file.owner, "root");
  }
  EXPECT_THAT(names,
              ElementsAre("docker.sh", "feature_install_base_setup.sh", "utils.sh", "vm_context.json"));
  const NfsExport* entry = delivered.ExportOf("/tank/vm-features/1001");
  ASSERT_NE(entry, nullptr);
  EXPECT_THAT(entry->clients, ElementsAre("10.0.0.101"));
  EXPECT_THAT(entry->options, ElementsAre("ro", "sync", "root_squash", "no_subtree_check"));
  // What the others mount is another file system each, and their own.
  EXPECT_NE(delivered["tank/vm-features"], nullptr);
  EXPECT_EQ(delivered.ExportOf("/tank/vm-features"), nullptr);
}

TEST(Delivery, ItsAnswersGoIntoADatasetOfLimitedSize) {
  const Delivered delivered = Deliver(ConfigWith(R"(, "inbox_quota": "128M")"));
  const Dataset* inbox = delivered["tank/vm-features/inbox-1001"];
  ASSERT_NE(inbox, nullptr);
  EXPECT_EQ(inbox->properties.at("quota").value, "134217728");
  EXPECT_EQ(inbox->properties.at("exec").value, "off");
  EXPECT_EQ(inbox->ownership->owner, "65534");
  EXPECT_EQ(inbox->ownership->mode, 0700U);
  const NfsExport* entry = delivered.ExportOf("/tank/vm-features/inbox-1001");
  ASSERT_NE(entry, nullptr);
  EXPECT_THAT(entry->clients, ElementsAre("10.0.0.101"));
  EXPECT_THAT(entry->options,
              ElementsAre("rw", "sync", "all_squash", "anonuid=65534", "anongid=65534", "no_subtree_check"));
}

TEST(Delivery, ItsCloudInitDataIsASnippetThatHoldsTheDigests) {
  const Delivered delivered = Deliver(ConfigWith());
  const Dataset* snippets = delivered["tank/vm-features/snippets"];
  ASSERT_NE(snippets, nullptr);
  ASSERT_EQ(snippets->files.size(), 1U);
  EXPECT_EQ(snippets->files[0].path, "snippets/phoenix-1001-user.yaml");
  EXPECT_EQ(snippets->files[0].mode, 0640U);
  const std::string& text = snippets->files[0].content;
  EXPECT_THAT(text, testing::StartsWith("#cloud-config\n"));
  EXPECT_THAT(text, HasSubstr("hostname: 'one'\n"));
  EXPECT_THAT(text, HasSubstr("10.0.0.13:/tank/vm-features/1001"));
  for (const auto& [name, content] : Scripts())
    EXPECT_THAT(text, HasSubstr(fmt::format("{}  {}\n", Sha256Hex(content), name)));
  // base_setup first, though the file names it nowhere of VM 1002.
  EXPECT_LT(text.find("feature 'base_setup' 'feature_install_base_setup.sh'"),
            text.find("feature 'docker' 'docker.sh'"));
  ASSERT_EQ(delivered.loaded.config.storages.size(), 1U);
  EXPECT_EQ(delivered.loaded.config.storages[0].id, "tank-vm-features-snippets");
  ASSERT_EQ(delivered.loaded.config.virtual_machines.size(), 1U);
  EXPECT_EQ(delivered.loaded.config.virtual_machines[0].volume,
            "tank-vm-features-snippets:snippets/phoenix-1001-user.yaml");
}

TEST(Delivery, VendorDataLeavesTheNameToProxmox) {
  const Delivered delivered = Deliver(ConfigWith(R"(, "cloud_init": "vendor")"));
  const auto& files = delivered["tank/vm-features/snippets"]->files;
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[1].path, "snippets/phoenix-1001-vendor.yaml");
  EXPECT_THAT(files[1].content, Not(HasSubstr("hostname")));
  EXPECT_EQ(delivered.loaded.config.virtual_machines.at(0).cloud_init, "vendor");
  // Changed vendor data alone would be the same instance to cloud-init, which then looks at none of them.
  EXPECT_EQ(files[0].path, "snippets/phoenix-1001-meta.yaml");
  EXPECT_EQ(files[0].content, "instance-id: phoenix-" + Sha256Hex(files[1].content) + "\n");
  EXPECT_EQ(delivered.loaded.config.virtual_machines.at(0).meta_volume,
            "tank-vm-features-snippets:snippets/phoenix-1001-meta.yaml");
  EXPECT_EQ(Deliver(ConfigWith()).loaded.config.virtual_machines.at(0).meta_volume, "");
}

TEST(Delivery, ADeclaredStorageTakesTheSnippets) {
  const char* dataset =
      R"({"name": "tank/iso", "proxmox_storage_type": "dir", "proxmox_content_type": "iso,snippets"})";
  const Delivered delivered = Deliver(ConfigWith(R"(, "snippets_storage": "tank-iso")", "", dataset));
  ASSERT_THAT(delivered.Errors(), IsEmpty());
  EXPECT_EQ(delivered["tank/iso"]->files.size(), 1U);
  EXPECT_EQ(delivered["tank/vm-features/snippets"], nullptr);
  EXPECT_EQ(delivered.loaded.config.virtual_machines.at(0).volume,
            "tank-iso:snippets/phoenix-1001-user.yaml");
  EXPECT_THAT(Deliver(ConfigWith(R"(, "snippets_storage": "nowhere")")).Errors(),
              ElementsAre("unknown-storage $.vm_features.snippets_storage"));
}

TEST(Delivery, AVmIsServedByItsNodeOrByAll) {
  const Delivered two = Deliver(ConfigWith(), kVms, Scripts(), "pve2");
  EXPECT_NE(two["tank/vm-features/1002"], nullptr);
  EXPECT_NE(two["tank/vm-features/1001"], nullptr);
  EXPECT_EQ(Deliver(ConfigWith())["tank/vm-features/1002"], nullptr);
  EXPECT_THAT(Deliver(ConfigWith(),
                      R"({"vms": [{"vmid": 101, "node": "pve9", "ip": "10.0.0.1", "features": ["docker"]}]})")
                  .Errors(),
              ElementsAre("unknown-node vms $.vms[0]"));
}

// A tool of old put everything on one share that all could mount: 777, no_root_squash, and a parent's export.
TEST(Delivery, Trap22NothingElseReachesWhatIsForOneVm) {
  const auto with_export = [](const char* path, const char* options) {
    return Deliver(
               ConfigWith(
                   "",
                   fmt::format(
                       R"(, "nfs": {{"exports": [{{"path": "{}", "clients": ["10.0.0.0/24"], "options": "{}"}}]}})",
                       path, options)))
        .Errors();
  };
  EXPECT_THAT(with_export("/tank/vm-features", "ro"), ElementsAre("exposed-features $.nfs.exports[0]"));
  EXPECT_THAT(with_export("/tank/vm-features/1001", "ro"), ElementsAre("exposed-features $.nfs.exports[0]"));
  EXPECT_THAT(with_export("/tank", "ro,crossmnt"), ElementsAre("exposed-features $.nfs.exports[0]"));
  EXPECT_THAT(with_export("/tank", "ro"), IsEmpty());
  EXPECT_THAT(with_export("/tank/vm-features-too", "ro"), IsEmpty());
  EXPECT_THAT(
      Deliver(ConfigWith("", R"(, "samba": {"user": "heads", "shares": [{"name": "all", "path": "/tank"}]})"))
          .Errors(),
      ElementsAre("exposed-features $.samba.shares[0]"));
  EXPECT_THAT(
      Deliver(ConfigWith("", "", R"({"name": "tank/vm-features", "properties": "sharenfs=on"})")).Errors(),
      ElementsAre("exposed-features $.zfs.datasets[0].properties"));
  // Inherited from the pool, unless the dataset itself says otherwise.
  const auto below_pool = [](const std::string& datasets) {
    std::string config = ConfigWith("", "", datasets);
    const std::string pool = R"({"name": "tank"})";
    return Deliver(config.replace(config.find(pool), pool.size(),
                                  R"({"name": "tank", "properties": "sharenfs=on"})"))
        .Errors();
  };
  EXPECT_THAT(below_pool(""), ElementsAre("exposed-features $.zfs.pools[0].properties"));
  EXPECT_THAT(below_pool(R"({"name": "tank/vm-features", "properties": "sharenfs=off"})"), IsEmpty());
}

TEST(Delivery, ScriptsThatCannotBeDeliveredAreNamed) {
  FeatureScripts scripts = Scripts();
  scripts["feature_install_docker.sh"] = "#!/bin/sh\n";
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(),
              ElementsAre("ambiguous-script vms $.vms[0].features[1]"));
  scripts = Scripts();
  scripts.erase("docker.sh");
  scripts["utils.sh"] = std::string(
      "\x7f"
      "ELF\0",
      5);
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(),
              ElementsAre("missing-script vms $.vms[0].features[1]", "invalid-script $.vm_features"));
  scripts = Scripts();
  scripts.erase("utils.sh");
  scripts["docker.sh"] = std::string(65537, '#');
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(),
              ElementsAre("missing-script $.vm_features", "too-long vms $.vms[0]"));
  scripts = Scripts();
  scripts["docker.sh"] = "echo \xff\xfe";
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(), ElementsAre("invalid-script $.vm_features"));
  scripts["docker.sh"] = "echo gr\xc3\xbc\xc3\x9f\n";
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(), IsEmpty());
  for (const char* wrong : {"\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xe2\x82"}) {
    scripts["docker.sh"] = wrong;
    EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(), ElementsAre("invalid-script $.vm_features"));
  }
  scripts["docker.sh"] = "echo \xe2\x82\xac \xf0\x9f\x98\x80\n";
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(), IsEmpty());
  scripts["docker.sh"] = "echo \xc3";
  EXPECT_THAT(Deliver(ConfigWith(), kVms, scripts).Errors(), ElementsAre("invalid-script $.vm_features"));
}

TEST(Delivery, AnInboxHasALimitOfAMebibyteAtLeast) {
  for (const char* quota : {"1000", R"("64K")", "0"}) {
    EXPECT_THAT(Labels(Load(ConfigWith(fmt::format(R"(, "inbox_quota": {})", quota))).findings.errors),
                ElementsAre("invalid-size@$.vm_features.inbox_quota"))
        << quota;
  }
}

TEST(Delivery, TheConfigurationAndTheVmsNeedEachOther) {
  EXPECT_THAT(Deliver("{}").Errors(), ElementsAre("missing vms $.vms[0]"));
  // A node that serves none of them may be without.
  const char* others =
      R"({"vms": [{"vmid": 1001, "node": "pve2", "ip": "10.0.0.1", "features": ["docker"]}]})";
  EXPECT_THAT(Deliver("{}", others).Errors(), IsEmpty());
  EXPECT_THAT(Deliver("{}", others, Scripts(), "pve2").Errors(), ElementsAre("missing vms $.vms[0]"));
  EXPECT_THAT(Deliver(ConfigWith(), "").Lints(), ElementsAre("no-vms"));
  EXPECT_THAT(Deliver(ConfigWith("", "", R"({"name": "tank/vm-features/1001"})")).Errors(),
              ElementsAre("duplicate-name $.zfs.datasets[0]"));
  EXPECT_THAT(
      Deliver(ConfigWith("", "", R"({"name": "tank/x", "mountpoint": "/tank/vm-features/1001"})")).Errors(),
      ElementsAre("duplicate-mountpoint $.zfs.datasets[0]"));
  const Delivered elsewhere =
      Deliver(ConfigWith("", "", R"({"name": "tank/vm-features", "mountpoint": "/srv/vms"})"));
  EXPECT_EQ(elsewhere["tank/vm-features/1001"]->mountpoint, "/srv/vms/1001");
  EXPECT_NE(elsewhere.ExportOf("/srv/vms/1001"), nullptr);
}

TEST(Delivery, AVolumeThatNobodyExportsToTheVmIsTold) {
  const std::string vms = R"({"vms": [{"vmid": 1001, "ip": "10.0.0.101", "features": ["docker"], "volumes": [
      {"type": "nfs", "server": "10.0.0.13", "path": "/tank/data/x", "mount_point": "/data"}]}]})";
  EXPECT_THAT(Deliver(ConfigWith(), vms).Lints(), ElementsAre("volume-not-exported"));
  const auto exported = [](const char* client) {
    return ConfigWith(
        "",
        fmt::format(
            R"(, "nfs": {{"exports": [{{"path": "tank/data", "clients": ["{}"], "options": ["ro"]}}]}})",
            client),
        R"({"name": "tank/data"})");
  };
  EXPECT_THAT(Deliver(exported("10.0.0.0/24"), vms).Lints(), IsEmpty());
  EXPECT_THAT(Deliver(exported("10.0.1.0/24"), vms).Lints(), ElementsAre("volume-not-exported"));
}

TEST(Delivery, WhatWasDeliveredGoesByName) {
  const Delivered delivered = Deliver(ConfigWith(), R"({"vms": [{"vmid": 1001, "state": "absent"}]})");
  ASSERT_THAT(delivered.Errors(), IsEmpty());
  EXPECT_TRUE(delivered["tank/vm-features/1001"]->absent);
  EXPECT_TRUE(delivered["tank/vm-features/inbox-1001"]->absent);
  EXPECT_TRUE(delivered.ExportOf("/tank/vm-features/1001")->absent);
  ASSERT_EQ(delivered.loaded.config.virtual_machines.size(), 1U);
  EXPECT_TRUE(delivered.loaded.config.virtual_machines[0].absent);
}

TEST(UserData, MountUnitsAreNamedAsSystemdNamesThem) {
  EXPECT_EQ(MountUnit("/mnt/nfs/features"), "mnt-nfs-features.mount");
  EXPECT_EQ(MountUnit("/mnt/vm-features"), "mnt-vm\\x2dfeatures.mount");
  EXPECT_EQ(MountUnit("/.hidden/a.b"), "\\x2ehidden-a.b.mount");
}

}  // namespace
}  // namespace phoenix::config

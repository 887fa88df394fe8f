#include "orchestrator/config/vm_section.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace phoenix::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

VmResult LoadOne(const std::string& members) { return LoadVms(R"({"vms": [{)" + members + "}]}"); }

std::vector<std::string> Rules(const std::vector<Finding>& findings) {
  std::vector<std::string> rules;
  rules.reserve(findings.size());
  for (const Finding& finding : findings) rules.push_back(finding.rule + " " + finding.where.path);
  return rules;
}

std::vector<std::string> FeaturesOf(const Vm& vm) {
  std::vector<std::string> names;
  names.reserve(vm.features.size());
  for (const Text& feature : vm.features) names.push_back(feature.value);
  return names;
}

TEST(LoadVms, AnEntryOfAFileInUse) {
  const VmResult result = LoadVms(R"({
    "vm_defaults": {"cores": 4},
    "vms": [
      {"vmid": 9000, "name": "template", "is_template": true, "network_config": {"ip": "dhcp"}},
      {"vmid": 1001, "name": "Portainer", "clone_from_vmid": 9000, "features": ["base_setup", "docker"],
       "network_config": {"ip": "10.0.0.111/24", "gw": "10.0.0.1"},
       "user_config": {"username": "u", "password": "hunter2", "password_hash": "hunter3"},
       "volumes": [{"name": "data", "type": "nfs", "server": "10.0.0.13", "path": "/tank/vm/1001/",
                    "mount_point": "/persistent-storage"}]}
    ]})");
  ASSERT_TRUE(result.ok()) << result.ToStatus();
  ASSERT_EQ(result.vms.size(), 1U);
  const Vm& vm = result.vms[0];
  EXPECT_EQ(vm.vmid, 1001U);
  EXPECT_EQ(vm.name, "Portainer");
  EXPECT_EQ(vm.address, "10.0.0.111");
  EXPECT_THAT(FeaturesOf(vm), ElementsAre("base_setup", "docker"));
  ASSERT_EQ(vm.volumes.size(), 1U);
  EXPECT_EQ(vm.volumes[0].path, "/tank/vm/1001");
  EXPECT_THAT(vm.context, HasSubstr("/persistent-storage"));
  EXPECT_THAT(vm.context, Not(HasSubstr("hunter")));
}

TEST(LoadVms, BaseSetupIsFirstAndEveryFeatureOnce) {
  const VmResult result =
      LoadOne(R"("vmid": "101", "ip": "10.0.0.9", "features": "docker base_setup docker")");
  ASSERT_TRUE(result.ok()) << result.ToStatus();
  EXPECT_THAT(FeaturesOf(result.vms.at(0)), ElementsAre("base_setup", "docker"));
  EXPECT_EQ(result.vms[0].name, "vm-101");
  EXPECT_THAT(Rules(result.findings.lints), ElementsAre("feature-repeated $.vms[0].features"));
}

// Names reach a shell, a YAML file and paths: nothing but plain ones does.
TEST(LoadVms, NamesThatWouldMeanSomethingElseAreRefused) {
  for (const char* name : {"../x", "a b", "$(id)", "a;b", "a'b", "a/b", "", "-x", ".x", "a\\nb", "é"}) {
    EXPECT_THAT(Rules(LoadOne(fmt::format(R"("vmid": 101, "ip": "10.0.0.9", "features": ["ok", "{}"])", name))
                          .findings.errors),
                std::string(name).empty() ? testing::Matcher<std::vector<std::string>>(IsEmpty())
                                          : ElementsAre("invalid-name $.vms[0].features[1]"))
        << name;
  }
  EXPECT_THAT(Rules(LoadOne(R"("vmid": 101, "name": "a'; b", "features": [])").findings.errors),
              ElementsAre("invalid-name $.vms[0].name"));
  EXPECT_THAT(Rules(LoadOne(R"("vmid": 101, "node": "../pve", "features": [])").findings.errors),
              ElementsAre("invalid-name $.vms[0].node"));
}

TEST(LoadVms, OnlyAnAddressOfItsOwnMayMount) {
  const auto rules = [](const std::string& address) {
    return Rules(LoadOne(R"("vmid": 101, "features": ["a"], "address": )" + address).findings.errors);
  };
  EXPECT_THAT(rules(R"("10.0.0.9")"), IsEmpty());
  EXPECT_THAT(rules(R"("fd00::9/64")"), IsEmpty());
  EXPECT_THAT(rules(R"("dhcp")"), ElementsAre("missing $.vms[0].address"));
  EXPECT_THAT(rules("null"), ElementsAre("missing $.vms[0].network_config.ip"));
  for (const char* wrong : {R"("vm.example")", R"("@vms")", R"("*")", R"("10.0.0.256")", R"("10.0.0.9/33")"})
    EXPECT_THAT(rules(wrong), ElementsAre("invalid-address $.vms[0].address")) << wrong;
  const VmResult twice = LoadVms(R"({"vms": [
    {"vmid": 101, "ip": "10.0.0.9", "features": ["a"]}, {"vmid": 102, "ip": "10.0.0.9/24", "features": ["a"]}]})");
  EXPECT_THAT(Rules(twice.findings.errors), ElementsAre("duplicate-address $.vms[1].ip"));
}

TEST(LoadVms, AllThatIsWrongIsToldAtOnce) {
  const VmResult result = LoadVms(R"({"vms": [
    {"vmid": 99}, {}, 5, {"vmid": 101}, {"vmid": 101, "state": "gone"},
    {"vmid": 102, "features": 5, "volumes": [{"type": "nfs", "path": "a"}, {"type": "nfs"}]}]})");
  EXPECT_THAT(Rules(result.findings.errors),
              testing::UnorderedElementsAre("invalid-vmid $.vms[0].vmid", "missing $.vms[1].vmid",
                                            "wrong-type $.vms[2]", "duplicate-name $.vms[4].vmid",
                                            "unknown-state $.vms[4].state", "wrong-type $.vms[5].features",
                                            "invalid-path $.vms[5].volumes[0].path",
                                            "missing $.vms[5].volumes[1].path"));
  EXPECT_THAT(Rules(LoadVms("{}").findings.errors), ElementsAre("missing $.vms"));
}

TEST(LoadVms, ATemplateGetsNothing) {
  const VmResult result = LoadOne(R"("vmid": 9000, "is_template": true, "features": ["docker"])");
  EXPECT_TRUE(result.ok()) << result.ToStatus();
  EXPECT_THAT(result.vms, IsEmpty());
  EXPECT_THAT(Rules(result.findings.lints), ElementsAre("template-features $.vms[0].is_template"));
}

}  // namespace
}  // namespace phoenix::config

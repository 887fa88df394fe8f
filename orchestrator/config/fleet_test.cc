#include "orchestrator/config/fleet.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/finding_labels.h"

namespace phoenix::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

FleetResult LoadAddress(const std::string& address) {
  return LoadFleet(fmt::format(R"({{"nodes": [{{"name": "pve1", "address": "{}"}}]}})", address));
}

TEST(LoadFleet, NodesInTheOrderOfTheFile) {
  const auto result = LoadFleet(R"({"nodes": [{"name": "pve2", "address": "10.77.0.12"},
                                              {"name": "pve1", "address": "10.77.0.11"}]})");
  ASSERT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_TRUE(result.ToStatus().ok());
  ASSERT_THAT(result.nodes, SizeIs(2));
  EXPECT_EQ(result.nodes[0].name, "pve2");
  EXPECT_EQ(result.nodes[0].address, (NodeAddress{"10.77.0.12", std::nullopt, ""}));
  EXPECT_EQ(result.nodes[1].origin.path, "$.nodes[1]");
}

TEST(LoadFleet, AddressesAreHostsPortsOrUnixDirectories) {
  EXPECT_EQ(LoadAddress("pve1.example.org").nodes.at(0).address,
            (NodeAddress{"pve1.example.org", std::nullopt, ""}));
  EXPECT_EQ(LoadAddress("pve1:7443").nodes.at(0).address, (NodeAddress{"pve1", 7443, ""}));
  EXPECT_EQ(LoadAddress("10.0.0.1:7443").nodes.at(0).address, (NodeAddress{"10.0.0.1", 7443, ""}));
  EXPECT_EQ(LoadAddress("[fd00::1]:7443").nodes.at(0).address, (NodeAddress{"fd00::1", 7443, ""}));
  EXPECT_EQ(LoadAddress("[fd00::1]").nodes.at(0).address, (NodeAddress{"fd00::1", std::nullopt, ""}));
  EXPECT_EQ(LoadAddress("fd00::1").nodes.at(0).address, (NodeAddress{"fd00::1", std::nullopt, ""}));
  EXPECT_EQ(LoadAddress("unix:/run/phoenix/").nodes.at(0).address,
            (NodeAddress{"", std::nullopt, "/run/phoenix"}));
  for (const char* wrong : {"", "pve1:", "pve1:0", "pve1:65536", "pve1:7443x", "pve1:-1", "10.0.0.300",
                            "unix:", "unix:run", "unix:/", "unix:/a/../b", "[fd00::1", "[pve1]:1",
                            "[fd00::1]7443", "a b", "http://pve1", ":7443", "pve1/x"}) {
    EXPECT_THAT(Labels(LoadAddress(wrong).findings.errors), ElementsAre("invalid-address@$.nodes[0].address"))
        << wrong;
  }
}

TEST(LoadFleet, NamesAreHostLabels) {
  for (const char* wrong : {"", "a.b", "-a", "a-", "a b", "a/b", "a_b"}) {
    const auto result = LoadFleet(fmt::format(R"({{"nodes": [{{"name": "{}", "address": "h"}}]}})", wrong));
    EXPECT_THAT(Labels(result.findings.errors), ElementsAre("invalid-name@$.nodes[0].name")) << wrong;
  }
}

TEST(LoadFleet, DuplicatesAreErrors) {
  const auto result =
      LoadFleet(R"({"nodes": [{"name": "pve1", "address": "a"}, {"name": "PVE1", "address": "b"},
                                              {"name": "pve3", "address": "a"}, {"name": "pve4", "address": "a:1"}]})");
  EXPECT_THAT(Labels(result.findings.errors),
              ElementsAre("duplicate-name@$.nodes[1].name", "duplicate-address@$.nodes[2].address"));
  EXPECT_THAT(result.nodes, SizeIs(2));
}

TEST(LoadFleet, EveryServiceOfANodeHasAPort) {
  EXPECT_TRUE(LoadAddress("pve1:65532").ok());
  for (const char* wrong : {"pve1:65533", "10.0.0.1:65535", "[fd00::1]:65534"}) {
    const auto result = LoadAddress(wrong);
    ASSERT_THAT(Labels(result.findings.errors), ElementsAre("invalid-address@$.nodes[0].address")) << wrong;
    EXPECT_EQ(result.findings.errors[0].allowed, "a port from 1 to 65532");
  }
}

TEST(LoadFleet, TwoNodesOfOneHostDoNotShareAPort) {
  const auto load = [](const char* first, const char* second) {
    return Labels(LoadFleet(fmt::format(R"({{"nodes": [{{"name": "a", "address": "{}"}},
                                                       {{"name": "b", "address": "{}"}}]}})",
                                        first, second))
                      .findings.errors);
  };
  EXPECT_THAT(load("pve1:7441", "pve1:7444"), ElementsAre("overlapping-ports@$.nodes[1].address"));
  EXPECT_THAT(load("pve1", "PVE1:7438"), ElementsAre("overlapping-ports@$.nodes[1].address"));
  EXPECT_THAT(load("[fd00::1]:7000", "[fd00:0::1]:7003"),
              ElementsAre("overlapping-ports@$.nodes[1].address"));
  EXPECT_THAT(load("pve1", "pve1:7441"), ElementsAre("duplicate-address@$.nodes[1].address"));
  EXPECT_THAT(load("pve1:7441", "pve1:7445"), IsEmpty());
  EXPECT_THAT(load("pve1:7441", "pve2:7442"), IsEmpty());
  EXPECT_THAT(load("unix:/run/a", "unix:/run/b"), IsEmpty());
}

TEST(LoadFleet, AllErrorsAtOnce) {
  const auto result =
      LoadFleet(R"({"nodes": [{"name": 1, "address": 2}, {}, "x", {"name": "a b", "address": "c d"}]})");
  EXPECT_THAT(result.findings.errors, SizeIs(7));
  EXPECT_FALSE(result.ToStatus().ok());
  EXPECT_NE(result.ToStatus().message().back(), '\n');
}

TEST(LoadFleet, AFleetHasNodes) {
  EXPECT_THAT(Labels(LoadFleet("{}").findings.errors), ElementsAre("missing@$.nodes"));
  EXPECT_THAT(Labels(LoadFleet(R"({"nodes": []})").findings.errors), ElementsAre("missing@$.nodes"));
  EXPECT_THAT(Labels(LoadFleet(R"({"nodes": {}})").findings.errors), ElementsAre("wrong-type@$.nodes"));
  EXPECT_THAT(Labels(LoadFleet("[]").findings.errors), ElementsAre("wrong-type@$"));
  EXPECT_THAT(Labels(LoadFleet("{").findings.errors), ElementsAre("json-syntax@$"));
}

TEST(LoadFleet, UnknownKeysAreLints) {
  const auto result = LoadFleet(R"({"version": 1, "nodes": [{"name": "a", "address": "b", "role": "c"}]})");
  EXPECT_THAT(result.findings.errors, IsEmpty());
  EXPECT_THAT(Labels(result.findings.lints),
              ElementsAre("unknown-key@$.version", "unknown-key@$.nodes[0].role"));
}

TEST(LoadFleet, TheSchemaOfTheFileIsNoUnknownKey) {
  const auto result = LoadFleet(R"({"$schema": "./s.json", "nodes": [{"name": "a", "address": "b"}]})");
  EXPECT_TRUE(result.ok()) << Render(result.findings.errors);
  EXPECT_THAT(result.findings.lints, IsEmpty());
}

TEST(Fleet, OverridesAreKeptAsTheyAreAndMustBeAnObject) {
  const FleetResult fleet = LoadFleet(
      R"({"nodes": [{"name": "pve1", "address": "10.0.0.1", "overrides": {"network": {"nfs_server": null}}},
                    {"name": "pve2", "address": "10.0.0.2"}]})");
  ASSERT_TRUE(fleet.ok()) << fleet.ToStatus();
  EXPECT_EQ(fleet.nodes[0].overrides, R"({"network":{"nfs_server":null}})");
  EXPECT_EQ(fleet.nodes[1].overrides, "");
  const FleetResult list = LoadFleet(R"({"nodes": [{"name": "a", "address": "h", "overrides": [1]}]})");
  ASSERT_EQ(list.findings.errors.size(), 1u);
  EXPECT_EQ(list.findings.errors[0].where.path, "$.nodes[0].overrides");
}

}  // namespace
}  // namespace phoenix::config

#include "services/nfs/api/nfs_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"
#include "services/nfs/api/nfs_names.h"

namespace phoenix::nfs {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kType[] = "phoenix.nfs.v1.NfsSpec";

TEST(ExportName, IsOneNameForOnePath) {
  EXPECT_EQ(ExportName("/quickOS/shared-prod-data"), "exports/quickOS~shared-prod-data");
  for (const char* path : {"/a", "/quickOS/shared-prod-data", "/a~b/c", "/100%/x", "/%7E", "/a b/\xc3\xa9"}) {
    const auto back = PathOfExportName(ExportName(path));
    ASSERT_TRUE(back.ok()) << path;
    EXPECT_EQ(*back, path);
  }
  for (const char* name :
       {"", "exports/", "exports/a/b", "shares/a", "exports/%41", "exports/a%", "exports/a%2", "a"}) {
    EXPECT_FALSE(PathOfExportName(name).ok()) << name;
  }
}

NfsSpec FullSpec() {
  return {{{"/a", {{"10.0.0.0/24", {"rw", "sync"}}, {"@g", {}}}, Presence::kPresent, "nfs.exports[0]", "/a"},
           {"/b", {}, Presence::kAbsent, "nfs.exports[1]", ""}},
          true,
          true,
          true};
}

TEST(NfsConvert, ASpecComesBackAsItWent) {
  const auto spec = ParseSpec(kType, ToProto(FullSpec()).SerializeAsString());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(*spec, FullSpec());
}

// Whoever adds a field to the spec is reminded to carry it.
TEST(NfsConvert, EveryFieldOfTheSpecIsCarried) {
  const v1::NfsSpec proto = ToProto(FullSpec());
  const auto* reflection = proto.exports(0).GetReflection();
  for (int i = 0; i < v1::ExportSpec::descriptor()->field_count(); ++i) {
    const auto* field = v1::ExportSpec::descriptor()->field(i);
    EXPECT_TRUE(field->is_repeated() ? reflection->FieldSize(proto.exports(0), field) > 0
                                     : reflection->HasField(proto.exports(0), field))
        << field->name();
  }
  EXPECT_EQ(v1::NfsSpec::descriptor()->field_count(), 4);
  EXPECT_EQ(v1::ClientSpec::descriptor()->field_count(), 2);
}

TEST(NfsConvert, APlaceIsNamedWhereTheSenderNamedNone) {
  v1::NfsSpec proto;
  proto.add_exports()->set_path("/a");
  EXPECT_EQ(ToSpec(proto)->exports[0].origin, "exports[0]");
}

TEST(NfsConvert, WhatIsNotUnderstoodIsRefused) {
  EXPECT_FALSE(ParseSpec("phoenix.zfs.v1.ZfsSpec", "").ok());
  EXPECT_FALSE(ParseSpec(kType, "\xff\xff").ok());
  EXPECT_TRUE(ParseSpec(kType, "").ok());
  v1::NfsSpec proto;
  proto.add_exports()->set_presence(static_cast<v1::Presence>(7));
  const absl::Status status = ToSpec(proto).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ViolationsOf(status), SizeIs(1));
}

TEST(NfsConvert, ExportsOfEverySourceAreListed) {
  NfsState state;
  state.own["/a"] = {"/a", {{"10.0.0.0/24", {"rw"}}}};
  state.foreign = {{"/etc/exports", 1, "/b", "x", {"ro"}, false},
                   {"/etc/exports", 1, "/b", "", {"ro"}, true}};
  state.live = {{"/a", "10.0.0.0/24", {"rw"}}, {"/b", "x", {"ro"}}, {"/c", "y", {"rw"}}};
  const auto exports = ToExports(state);
  ASSERT_THAT(exports, SizeIs(3));
  EXPECT_EQ(exports[0].name(), "exports/a");
  EXPECT_TRUE(exports[0].managed());
  EXPECT_TRUE(exports[0].active());
  EXPECT_EQ(exports[0].source(), kOwnFile);
  EXPECT_EQ(exports[1].source(), "/etc/exports");
  EXPECT_FALSE(exports[1].active());
  EXPECT_EQ(exports[1].clients(1).client(), "*");
  EXPECT_EQ(exports[2].source(), "");
  EXPECT_TRUE(exports[2].active());
  EXPECT_FALSE(exports[2].managed());
}

TEST(NfsConvert, TheEtagFollowsClientsAndOptions) {
  NfsState state;
  state.own["/a"] = {"/a", {{"10.0.0.0/24", {"rw", "sync"}}}};
  const std::string first = ToExports(state)[0].etag();
  state.live = {{"/a", "10.0.0.0/24", {"rw"}}};
  EXPECT_EQ(ToExports(state)[0].etag(), first);
  state.own["/a"].clients[0].options = {"rwsync"};
  EXPECT_NE(ToExports(state)[0].etag(), first);
}

TEST(NfsConvert, ATypedChangeNamesOnePath) {
  v1::Export resource;
  resource.set_name("exports/a~b");
  EXPECT_EQ(ToExportSpec(resource)->path, "/a/b");
  resource.set_path("/a/b");
  EXPECT_TRUE(ToExportSpec(resource).ok());
  resource.set_path("/other");
  EXPECT_THAT(Message(ToExportSpec(resource).status()), HasSubstr("/other"));
  resource.clear_name();
  EXPECT_EQ(ToExportSpec(resource)->path, "/other");
}

}  // namespace
}  // namespace phoenix::nfs

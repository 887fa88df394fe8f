#include "services/samba/api/samba_convert.h"

#include <gtest/gtest.h>

namespace phoenix::samba {
namespace {

SambaSpec FullSpec() {
  SambaSpec spec;
  ShareSpec share;
  share.name = "data";
  share.path = "/tank/data";
  share.valid_users = {"heads", "@staff"};
  share.browseable = false;
  share.read_only = true;
  share.guest_ok = true;
  share.options = {{"create mask", "0664"}};
  share.previous_versions = PreviousVersions{"%F_%T", true};
  share.acl = ShareAcl::kWindows;
  share.absent = true;
  share.origin = "samba.shares[0]";
  spec.shares = {share};
  spec.users = {{"heads", "samba/users/heads", true, "samba.user"}};
  spec.globals = {{"workgroup", "PHX"}};
  spec.clients = {"10.0.0.0/24"};
  spec.partial = true;
  return spec;
}

TEST(SambaConvert, ASpecComesBackInEveryField) {
  EXPECT_EQ(*ToSpec(ToProto(FullSpec())), FullSpec());
  const auto parsed = ParseSpec("phoenix.samba.v1.SambaSpec", ToProto(FullSpec()).SerializeAsString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, FullSpec());
}

TEST(SambaConvert, OtherTypesAndOtherBytesAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(ParseSpec("phoenix.nfs.v1.NfsSpec", "").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseSpec("phoenix.samba.v1.SambaSpec", "\xFF\xFF\xFF").status()));
  v1::SambaSpec later;
  later.add_users()->set_presence(static_cast<v1::Presence>(7));
  EXPECT_TRUE(absl::IsInvalidArgument(ToSpec(later).status()))
      << "a presence of a later version is not guessed";
  later.Clear();
  later.add_shares()->set_acl(static_cast<v1::ShareAcl>(7));
  EXPECT_TRUE(absl::IsInvalidArgument(ToSpec(later).status()));
}

TEST(SambaConvert, AShareIsShownInEveryFieldAndCanBeSentBack) {
  const Section section{"data",
                        {{"path", "/tank/data"},
                         {"valid users", "heads @staff"},
                         {"browseable", "No"},
                         {"read only", "No"},
                         {"create mask", "0664"}}};
  const v1::Share share = ToProto(section, true);
  EXPECT_EQ(share.name(), "shares/data");
  EXPECT_FALSE(share.browseable());
  EXPECT_FALSE(share.read_only());
  EXPECT_FALSE(share.guest_ok());
  EXPECT_TRUE(share.managed());
  const auto spec = ToShareSpec(share);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "data");
  EXPECT_EQ(spec->valid_users, (std::vector<std::string>{"heads", "@staff"}));
  EXPECT_EQ(spec->options, (std::map<std::string, std::string>{{"create mask", "0664"}}));
  Section other = section;
  other.parameters["create mask"] = "0660";
  EXPECT_NE(ToProto(other, true).etag(), share.etag());
}

TEST(SambaConvert, WhatIsNotSetIsAsSambaHasIt) {
  v1::Share share;
  share.set_name("shares/data");
  auto spec = ToShareSpec(share);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(spec->browseable);
  EXPECT_TRUE(spec->read_only);
  EXPECT_FALSE(spec->guest_ok);
  // An option that says it by another name counts.
  (*share.mutable_options())["writable"] = "yes";
  EXPECT_FALSE(ToShareSpec(share)->read_only);
  share.set_browseable(false);
  share.set_read_only(true);
  share.set_guest_ok(true);
  spec = ToShareSpec(share);
  EXPECT_FALSE(spec->browseable);
  EXPECT_TRUE(spec->read_only) << "the contradiction is the planner's to tell";
  EXPECT_TRUE(spec->guest_ok);
  // The same holds for a spec.
  v1::SambaSpec proto;
  proto.add_shares()->set_name("data");
  EXPECT_TRUE(ToSpec(proto)->shares[0].browseable);
  EXPECT_TRUE(ToSpec(proto)->shares[0].read_only);
}

TEST(SambaConvert, AnUpdateTakesWhatIsNamedOrElseWhatIsSet) {
  v1::Share now;
  now.set_name("shares/data");
  now.set_path("/tank/data");
  now.add_valid_users("heads");
  now.set_browseable(false);
  now.set_read_only(true);
  (*now.mutable_options())["create mask"] = "0664";
  v1::Share wanted;
  wanted.set_read_only(false);
  v1::Share merged = now;
  ASSERT_TRUE(MergeShare(wanted, {}, merged).ok());
  EXPECT_FALSE(merged.read_only());
  EXPECT_TRUE(merged.has_browseable());
  EXPECT_FALSE(merged.browseable());
  EXPECT_EQ(merged.path(), "/tank/data");
  EXPECT_EQ(merged.valid_users_size(), 1);
  EXPECT_EQ(merged.options_size(), 1);
  google::protobuf::FieldMask mask;
  mask.add_paths("browseable");
  mask.add_paths("options");
  merged = now;
  ASSERT_TRUE(MergeShare(wanted, mask, merged).ok());
  EXPECT_FALSE(merged.has_browseable()) << "named and not set: the default";
  EXPECT_EQ(merged.options_size(), 0);
  EXPECT_TRUE(merged.read_only());
  for (const char* path : {"name", "managed", "etag", "nonsense"}) {
    google::protobuf::FieldMask wrong;
    wrong.add_paths(path);
    EXPECT_TRUE(absl::IsInvalidArgument(MergeShare(wanted, wrong, merged))) << path;
  }
}

TEST(SambaConvert, ResourceNames) {
  EXPECT_EQ(*ParseShareName("shares/my data"), "my data");
  EXPECT_EQ(*ParseUserName("users/heads"), "heads");
  for (const char* wrong : {"", "shares/", "users/heads", "shares/a/b"}) {
    EXPECT_FALSE(ParseShareName(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace phoenix::samba

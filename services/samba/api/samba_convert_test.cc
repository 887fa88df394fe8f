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

TEST(SambaConvert, ResourceNames) {
  EXPECT_EQ(*ParseShareName("shares/my data"), "my data");
  EXPECT_EQ(*ParseUserName("users/heads"), "heads");
  for (const char* wrong : {"", "shares/", "users/heads", "shares/a/b"}) {
    EXPECT_FALSE(ParseShareName(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace phoenix::samba

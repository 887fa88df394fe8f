#include "services/nfs/domain/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::nfs {
namespace {

using ::testing::HasSubstr;

std::string Canonical(std::string_view text) {
  const auto client = ParseClient(text);
  return client.ok() ? client->text : "error: " + Message(client.status());
}

Client Parsed(std::string_view text) { return ParseClient(text).value(); }

TEST(Client, IsWrittenInOneWayOnly) {
  EXPECT_EQ(Canonical("10.0.0.7/24"), "10.0.0.0/24");
  EXPECT_EQ(Canonical("10.1.2.3/255.255.0.0"), "10.1.0.0/16");
  EXPECT_EQ(Canonical("10.0.0.5/32"), "10.0.0.5");
  EXPECT_EQ(Canonical("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(Canonical("FD00:0:0::1"), "fd00::1");
  EXPECT_EQ(Canonical("fd00::ff/8"), "fd00::/8");
  EXPECT_EQ(Canonical("Media.Example"), "media.example");
  EXPECT_EQ(Canonical("@trusted"), "@trusted");
  EXPECT_EQ(Canonical("*"), "*");
  EXPECT_EQ(Canonical("*.lan"), "*.lan");
}

// N3: a blank, a parenthesis, a quote in a client would make two clients, or swallow the next line.
TEST(Client, RefusesWhatExportfsWouldMisread) {
  for (const char* text :
       {"", "10.0.0.0/24 ", " 10.0.0.1", "10.0.0.0/24(rw)", "a\"b", "a#b", "-rw", "10.0.0.1,10.0.0.2",
        "10.0.0.0/33", "10.0.0.0/255.0.255.0", "fd00::/129", "[fd00::1]", "10.0.0", "10.0.0.256", "@",
        "gss/krb5", "a/24", "host\nname", ".lan"}) {
    EXPECT_THAT(Canonical(text), HasSubstr("error: ")) << "«" << text << "»";
  }
}

TEST(Client, OverlapIsAMachineThatIsBoth) {
  EXPECT_TRUE(Overlap(Parsed("10.0.0.0/8"), Parsed("10.9.0.0/16")));
  EXPECT_TRUE(Overlap(Parsed("10.9.0.1"), Parsed("10.9.0.0/16")));
  EXPECT_TRUE(Overlap(Parsed("*"), Parsed("fd00::1")));
  EXPECT_TRUE(Overlap(Parsed("box"), Parsed("BOX")));
  EXPECT_FALSE(Overlap(Parsed("10.8.0.0/16"), Parsed("10.9.0.0/16")));
  EXPECT_FALSE(Overlap(Parsed("0.0.0.0/0"), Parsed("fd00::1")));
  EXPECT_FALSE(Overlap(Parsed("box"), Parsed("10.0.0.1")));
  EXPECT_FALSE(Overlap(Parsed("@box"), Parsed("box")));
}

TEST(ListensOn, AnAddressThatNfsConfNames) {
  EXPECT_TRUE(ListensOn({}, "10.0.0.13"));
  EXPECT_TRUE(ListensOn({"nas.lan", "10.0.0.13"}, "10.0.0.13"));
  EXPECT_TRUE(ListensOn({"FD00:0::1"}, "fd00::1"));
  EXPECT_TRUE(ListensOn({"0.0.0.0"}, "127.0.0.1"));
  EXPECT_TRUE(ListensOn({"::"}, "::1"));
  EXPECT_FALSE(ListensOn({"::"}, "127.0.0.1"));
  EXPECT_FALSE(ListensOn({"10.0.0.12"}, "10.0.0.13"));
  EXPECT_FALSE(ListensOn({"10.0.0.0/24", "nas.lan"}, "10.0.0.13"));
}

TEST(Client, ContainsAddressesOnly) {
  EXPECT_TRUE(Contains(Parsed("10.0.0.0/24"), "10.0.0.13"));
  EXPECT_TRUE(Contains(Parsed("*"), "127.0.0.1"));
  EXPECT_FALSE(Contains(Parsed("10.0.0.0/24"), "10.0.1.13"));
  EXPECT_FALSE(Contains(Parsed("box"), "10.0.0.13"));
  EXPECT_FALSE(Contains(Parsed("*"), "box"));
}

}  // namespace
}  // namespace phoenix::nfs

#include "services/samba/domain/share_sessions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace phoenix::samba {
namespace {

Section Share(Parameters more = {}) {
  Section section{
      "data",
      {{"path", "/tank/data"}, {"read only", "No"}, {"guest ok", "No"}, {"valid users", "heads bob @staff"}}};
  for (auto& [name, value] : more) section.parameters[name] = value;
  return section;
}

Cut Between(const Parameters& before, const Parameters& after) {
  const Section old = Share(before), fresh = Share(after);
  return SessionsToEnd(&old, &fresh);
}

TEST(SessionsToEnd, ANewShareHasNoneAndARemovedOneKeepsNone) {
  const Section share = Share();
  EXPECT_EQ(SessionsToEnd(nullptr, &share), Cut::kNobody);
  EXPECT_EQ(SessionsToEnd(&share, nullptr), Cut::kEverybody);
  EXPECT_EQ(SessionsToEnd(&share, &share), Cut::kNobody);
}

struct Change {
  Parameters before, after;
};

// Promise 5: nobody is cut off by what gives more, or by what takes nothing away.
TEST(SessionsToEnd, NobodysWhereNothingIsTakenAway) {
  for (const auto& [before, after] : std::vector<Change>{
           {{}, {{"valid users", "bob heads @staff alice"}}},
           {{}, {{"valid users", ""}}},
           {{{"read only", "Yes"}}, {{"read only", "no"}}},
           {{}, {{"guest ok", "yes"}}},
           {{}, {{"comment", "another"}}},
           {{}, {{"create mask", "0664"}, {"browseable", "No"}}},
           {{}, {{"available", "Yes"}}},
           {{{"available", "No"}}, {}},
           {{{"invalid users", "eve mallory"}}, {{"invalid users", "eve"}}},
           {{{"read list", "bob"}}, {}},
           {{}, {{"write list", "bob"}}},
           {{{"write list", "bob"}}, {}},  // everybody may write
           {{{"hosts allow", "10.0.0.0/24"}}, {{"hosts allow", "10.0.0.0/24, 10.0.1.0/24"}}},
           {{{"hosts allow", "10.0.0.0/24"}}, {}},
           {{{"hosts deny", "ALL"}}, {}},
           {{{"server smb encrypt", "required"}}, {{"server smb encrypt", "mandatory"}}},
       }) {
    EXPECT_EQ(Between(before, after), Cut::kNobody) << (after.empty() ? "-" : after.begin()->first);
  }
}

TEST(SessionsToEnd, OfThoseWhoAreDeniedWhereSmbdLooksAtUsersAgain) {
  for (const auto& [before, after] : std::vector<Change>{
           {{}, {{"valid users", "heads @staff"}}},
           {{}, {{"valid users", "heads bob @others alice"}}},
           {{{"valid users", ""}}, {}},
           {{}, {{"invalid users", "bob"}}},
           {{}, {{"read list", "bob"}}},
       }) {
    EXPECT_EQ(Between(before, after), Cut::kDenied) << (after.empty() ? "-" : after.begin()->first);
  }
}

TEST(SessionsToEnd, OfEverybodyWhereSmbdReadsItOnlyWhenASessionBegins) {
  for (const auto& [before, after] : std::vector<Change>{
           {{}, {{"read only", "Yes"}}},
           {{}, {{"read only", "Yes"}, {"valid users", "heads"}}},
           {{}, {{"path", "/tank/Data"}}},
           {{{"guest ok", "Yes"}}, {}},
           {{}, {{"available", "no"}}},
           {{{"read only", "Yes"}, {"write list", "bob"}}, {{"read only", "Yes"}}},
           {{{"admin users", "bob"}}, {}},
           {{}, {{"force user", "nobody"}}},
           {{{"force group", "root"}}, {}},
           {{}, {{"hosts allow", "10.0.0.0/24"}}},
           {{{"hosts allow", "10.0.0.0/24 10.0.1.1"}}, {{"hosts allow", "10.0.0.0/24"}}},
           {{}, {{"hosts deny", "10.0.0.66"}}},
           {{{"hosts deny", "10.0.0.66"}, {"hosts allow", "10.0.0.1"}}, {{"hosts allow", "10.0.0.1"}}},
           {{{"hosts allow", "10. EXCEPT 10.0.0.1"}}, {{"hosts allow", "10. EXCEPT 10.0.0.1 10.0.0.2"}}},
           {{{"hosts deny", "ALL"}, {"hosts allow", "10.0.0.0/24"}}, {{"hosts deny", "ALL"}}},
           {{{"hosts allow", "10."}}, {{"hosts allow", "10. except 10.0.0.66"}}},
           {{{"hosts allow", "10."}}, {{"hosts allow", "10.,EXCEPT 10.0.0.66"}}},
           {{{"wide links", "yes"}}, {}},
           {{{"vfs objects", "shadow_copy2 acl_xattr"}}, {{"vfs objects", "acl_xattr"}}},
           {{}, {{"server smb encrypt", "mandatory"}}},
       }) {
    EXPECT_EQ(Between(before, after), Cut::kEverybody) << (after.empty() ? "-" : after.begin()->first);
  }
}

// Asked who may stay, smbd looks at the user in whose name a session goes on: whom it is forced to.
TEST(SessionsToEnd, OfEverybodyWhereTheUserIsForcedAndSomebodyIsShutOut) {
  for (const char* forced : {"force user", "force group"}) {
    EXPECT_EQ(Between({{forced, "heads"}}, {{forced, "heads"}, {"valid users", "heads @staff"}}),
              Cut::kEverybody);
    EXPECT_EQ(Between({{forced, "heads"}}, {{forced, "heads"}, {"comment", "another"}}), Cut::kNobody);
  }
}

TEST(SessionsToEnd, ItsWordsAreReadBack) {
  for (const Cut cut : {Cut::kNobody, Cut::kDenied, Cut::kEverybody}) EXPECT_EQ(ParseCut(ToText(cut)), cut);
  EXPECT_EQ(ParseCut(""), Cut::kNobody) << "of a step that an earlier version wrote down";
}

}  // namespace
}  // namespace phoenix::samba

// Whom smbd 4.17 let in by 127.0.0.1 with these settings was tried.
#include "services/samba/domain/loopback_login.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace phoenix::samba {
namespace {

ConfigDump Live(const Parameters& globals, const Parameters& share) {
  ConfigDump live;
  live.globals = {{"bind interfaces only", "No"}, {"interfaces", ""}, {"hosts allow", ""}, {"hosts deny", ""},
                  {"available", "Yes"},           {"veto files", ""}};
  for (const auto& [name, value] : globals) live.globals[name] = value;
  live.shares["data"] = {"Data", share};
  return live;
}

struct Setting {
  Parameters globals, share;
};

TEST(WhyLoopbackIsShutOut, NothingWhereSmbdLetsItIn) {
  for (const auto& [globals, share] : std::vector<Setting>{
           {{}, {}},
           {{}, {{"hosts allow", "10.1.1.0/24"}}},
           {{}, {{"hosts deny", "10.0.0.66 192.168."}}},
           {{}, {{"hosts deny", "0.0.0.0/0"}, {"hosts allow", "127."}}},
           {{}, {{"hosts deny", "ALL"}, {"hosts allow", "10.0.0.0/24, 127.0.0.1"}}},
           {{}, {{"hosts deny", "ALL EXCEPT 127.0.0.1"}}},
           {{{"hosts deny", "ALL"}, {"hosts allow", "127.0.0.0/255.0.0.0"}}, {}},
           {{{"bind interfaces only", "Yes"}}, {}},
           {{{"interfaces", "eth0"}}, {}},
           {{{"bind interfaces only", "Yes"}, {"interfaces", "eth0 lo"}}, {}},
           {{{"bind interfaces only", "Yes"}, {"interfaces", "10.9.9.1/24 127.0.0.1"}}, {}},
           {{{"bind interfaces only", "Yes"}, {"interfaces", "127.0.0.0/8 eth0"}}, {}},
           {{{"bind interfaces only", "Yes"}, {"interfaces", "vmbr* l*"}}, {}},
       }) {
    EXPECT_EQ(WhyLoopbackIsShutOut(Live(globals, share), "data"), "");
  }
}

TEST(WhyLoopbackIsShutOut, WhatDoesItIsNamed) {
  struct Case {
    Setting setting;
    std::string reason;
  };
  for (const auto& [setting, reason] : std::vector<Case>{
           {{{}, {{"hosts deny", "ALL"}}}, "hosts deny = ALL"},
           {{{}, {{"hosts deny", "127.0.0.1"}, {"hosts allow", "10."}}}, "hosts deny = 127.0.0.1"},
           {{{}, {{"hosts deny", "0.0.0.0/0"}}}, "hosts deny = 0.0.0.0/0"},
           {{{}, {{"hosts deny", "127.0.0.0/8"}}}, "hosts deny = 127.0.0.0/8"},
           {{{}, {{"hosts deny", "10.0.0.1 127."}}}, "hosts deny = 10.0.0.1 127."},
           {{{}, {{"hosts deny", "ALL EXCEPT 10.0.0.1"}}}, "hosts deny = ALL EXCEPT 10.0.0.1"},
           {{{}, {{"available", "No"}}}, "available = No"},
           {{{{"hosts deny", "127."}}, {{"hosts deny", ""}}}, "hosts deny = 127. for the whole server"},
           {{{{"bind interfaces only", "Yes"}, {"interfaces", "vmbr0 10.9.9.1/24"}}, {}},
            "bind interfaces only, and interfaces = vmbr0 10.9.9.1/24 without lo"},
       }) {
    EXPECT_EQ(WhyLoopbackIsShutOut(Live(setting.globals, setting.share), "DATA"), reason);
  }
}

TEST(IsVetoed, ByThePatternsOfTheShareOrOfAll) {
  EXPECT_FALSE(IsVetoed(Live({}, {}), "data", ".phoenix-probe-1"));
  EXPECT_TRUE(IsVetoed(Live({}, {{"veto files", "/*.exe/.*/"}}), "data", ".phoenix-probe-1"));
  EXPECT_TRUE(IsVetoed(Live({{"veto files", "/.PHOENIX*/"}}, {}), "data", ".phoenix-probe-1"));
  EXPECT_FALSE(
      IsVetoed(Live({}, {{"veto files", "/.DS_Store/._*/*.exe/?phoenix/"}}), "data", ".phoenix-probe-1"));
}

}  // namespace
}  // namespace phoenix::samba

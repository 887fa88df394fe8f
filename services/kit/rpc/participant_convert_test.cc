#include "services/kit/rpc/participant_convert.h"

#include <gtest/gtest.h>

#include "base/status/errors.h"

namespace phoenix::kit {
namespace {

TEST(AddConditions, EachWithWhatItAsksFor) {
  using Severity = Condition::Severity;
  pb::DescribeResponse out;
  AddConditions(std::vector<Condition>{{Severity::kOk, "a", "fine"},
                                       {Severity::kInfo, "b", "41 % full"},
                                       {Severity::kWarning, "c", "old"},
                                       {Severity::kCritical, "d", "failing"}},
                out);
  ASSERT_EQ(out.conditions_size(), 4);
  EXPECT_EQ(out.conditions(0).severity(), pb::Condition::SEVERITY_OK);
  EXPECT_EQ(out.conditions(1).severity(), pb::Condition::SEVERITY_INFO);
  EXPECT_EQ(out.conditions(2).severity(), pb::Condition::SEVERITY_WARNING);
  EXPECT_EQ(out.conditions(3).severity(), pb::Condition::SEVERITY_CRITICAL);
  EXPECT_EQ(out.conditions(3).object(), "d");
  EXPECT_EQ(out.conditions(3).text(), "failing");
}

TEST(AddConditions, WhatCannotBeReadIsSaidAndHidesNothing) {
  pb::DescribeResponse out;
  out.set_participant("zfs");
  AddConditions(Internal("zpool says nothing"), out);
  ASSERT_EQ(out.conditions_size(), 1);
  EXPECT_EQ(out.conditions(0).severity(), pb::Condition::SEVERITY_WARNING);
  EXPECT_EQ(out.conditions(0).object(), "zfs");
  EXPECT_EQ(out.conditions(0).text(), "cannot be read: zpool says nothing");
}

}  // namespace
}  // namespace phoenix::kit

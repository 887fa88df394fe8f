#include "orchestrator/config/zfs_size.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace phoenix::config {
namespace {

TEST(ParseZfsSize, ComputesWhatZfsSetComputes) {
  const std::vector<std::pair<std::string, std::uint64_t>> cases = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"128K", 131072},
      {"128k", 131072},
      {"128KB", 131072},
      {"128KiB", 131072},
      {"1M", 1048576},
      {"800G", 858993459200},
      {"2T", 2199023255552},
      {"1P", 1125899906842624},
      {"15E", 17293822569102704640U},
      {"18446744073709551615", 18446744073709551615U},
      {"18014398509481983K", 18446744073709550592U},
      {".5K", 512},
      {".5T", 549755813888},
      {"0.001Z", 1180591620717411328},
      {"1.", 1},
      {"1.5G", 1610612736},
      {"0.0001K", 0},
      // 1.4 * 2^40 is 1539316278886.4: the fraction of a byte is cut.
      {"1.4T", 1539316278886},
      {"1.1T", 1209462790553},
      {"0.3G", 322122547},
  };
  for (const auto& [text, bytes] : cases) {
    const auto parsed = ParseZfsSize(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(ParseZfsSize, RefusesWhatZfsRefuses) {
  for (const std::string text : {"",
                                 ".",
                                 "G",
                                 "-1",
                                 "+1",
                                 " 1",
                                 "1 G",
                                 "12Q",
                                 "1BB",
                                 "1BiB",
                                 "1KK",
                                 "1KiBs",
                                 "0x10",
                                 "1,4T",
                                 "none",
                                 "1e3",
                                 "18446744073709551616",
                                 "16E",
                                 "1Z",
                                 "16.0E",
                                 "99999999.9E"}) {
    EXPECT_FALSE(ParseZfsSize(text).ok()) << text;
  }
}

}  // namespace
}  // namespace phoenix::config

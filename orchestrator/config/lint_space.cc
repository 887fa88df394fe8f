// Quotas and reservations that do not fit into each other.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/config/sections.h"

namespace phoenix::config {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) { return a > kMost - b ? kMost : a + b; }

std::string InGibibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f}G", static_cast<double>(bytes) / static_cast<double>(std::uint64_t{1} << 30U));
}

// A dataset among those of the file, with what is declared below it.
struct Node {
  const Dataset* dataset = nullptr;
  std::vector<std::size_t> children;  // those without another declared dataset between
};

class Space {
 public:
  explicit Space(const Config& config) {
    for (const Dataset& dataset : config.datasets) nodes_.push_back({&dataset, {}});
    // Parents before children.
    std::sort(nodes_.begin(), nodes_.end(), [](const Node& a, const Node& b) {
      return a.dataset->full_name.size() < b.dataset->full_name.size();
    });
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (std::size_t j = i; j-- > 0;) {
        if (!IsAtOrBelow(nodes_[i].dataset->full_name, nodes_[j].dataset->full_name)) continue;
        nodes_[j].children.push_back(i);
        break;  // sorted by length: the nearest one
      }
    }
  }

  void TellAll(Findings& findings) const {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const std::uint64_t quota = Bytes(i, "quota");
      if (quota == 0) continue;  // a volume has none
      const Property& given = nodes_[i].dataset->properties.at("quota");
      const auto tell = [&](std::string message) {
        findings.Lint("quota-past-parent", given.origin, std::move(message), given.given);
      };
      if (const std::uint64_t reserved = Reserved(i); reserved > quota) {
        tell(
            fmt::format("the reservations of {} and of what is declared below it are {} together, more than "
                        "its quota: not all of them can be kept",
                        nodes_[i].dataset->full_name, InGibibytes(reserved)));
      }
      if (const std::uint64_t below = QuotasBelow(i); below > quota) {
        tell(fmt::format(
            "the quotas of the datasets below {}, and the sizes of volumes, are {} together, more "
            "than its own: they cannot all be used up",
            nodes_[i].dataset->full_name, InGibibytes(below)));
      }
    }
  }

 private:
  // 0 where it is not given, or none.
  std::uint64_t Bytes(std::size_t node, const std::string& property) const {
    const auto found = nodes_[node].dataset->properties.find(property);
    std::uint64_t bytes = 0;
    if (found == nodes_[node].dataset->properties.end()) return bytes;
    const std::string& value = found->second.value;
    std::from_chars(value.data(), value.data() + value.size(), bytes);
    return bytes;
  }

  // A reservation is for the dataset and all below it; a refreservation for the dataset alone. ZFS keeps the
  // whole size of a volume, unless it is told otherwise.
  std::uint64_t Reserved(std::size_t node) const {
    const Dataset& dataset = *nodes_[node].dataset;
    const bool thick = dataset.volume_size != 0 && dataset.properties.count("refreservation") == 0;
    std::uint64_t sum = thick ? dataset.volume_size : Bytes(node, "refreservation");
    for (const std::size_t child : nodes_[node].children) sum = Sum(sum, Reserved(child));
    return std::max(sum, Bytes(node, "reservation"));
  }

  std::uint64_t QuotasBelow(std::size_t node) const {
    std::uint64_t sum = 0;
    for (const std::size_t child : nodes_[node].children) {
      const std::uint64_t size = nodes_[child].dataset->volume_size;
      const std::uint64_t quota = size != 0 ? size : Bytes(child, "quota");
      sum = Sum(sum, quota != 0 ? quota : QuotasBelow(child));
    }
    return sum;
  }

  std::vector<Node> nodes_;
};

}  // namespace

void LintSpace(const Config& config, Findings& findings) { Space(config).TellAll(findings); }

}  // namespace phoenix::config

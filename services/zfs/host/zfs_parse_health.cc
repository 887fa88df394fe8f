// Reading what zpool says of scans and errors, and what smartctl says.
#include <algorithm>
#include <cctype>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/status/errors.h"
#include "services/zfs/host/zfs_parse.h"

namespace phoenix::zfs {
namespace {

using nlohmann::json;

std::string Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return std::string(text);
}

std::optional<uint64_t> LeadingNumber(const std::string& text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) == 0) return std::nullopt;
  return std::strtoull(text.c_str(), nullptr, 10);
}

// "2025-10-12" of "Sun Oct 12 00:34:12 2025"; "" of anything else.
std::string DayOf(const std::string& time) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::istringstream words(time);
  std::string weekday, month, clock;
  int day = 0, year = 0;
  if (!(words >> weekday >> month >> day >> clock >> year) || month.size() != 3) return "";
  const size_t at = kMonths.find(month);
  return at == std::string_view::npos || at % 3 != 0 ? ""
                                                     : fmt::format("{}-{:02}-{:02}", year, at / 3 + 1, day);
}

// What stands between `before` and the next blank; "" where `before` is not there.
std::string WordAfter(const std::string& text, std::string_view before) {
  const size_t at = text.find(before);
  if (at == std::string::npos) return "";
  const size_t begin = at + before.size();
  return text.substr(begin, text.find(' ', begin) - begin);
}
std::string RestAfter(const std::string& text, std::string_view before) {
  const size_t at = text.rfind(before);
  return at == std::string::npos ? "" : text.substr(at + before.size());
}

// smartctl's JSON, which says different things of different disks: what is not there is not said.
class Smart {
 public:
  explicit Smart(const json& value) : value_(value) {}

  const json* At(std::initializer_list<const char*> path) const {
    const json* at = &value_;
    for (const char* key : path) {
      if (!at->is_object() || !at->contains(key)) return nullptr;
      at = &(*at)[key];
    }
    return at;
  }
  std::optional<bool> Bool(std::initializer_list<const char*> path) const {
    const json* at = At(path);
    return at == nullptr || !at->is_boolean() ? std::nullopt : std::optional(at->get<bool>());
  }
  std::optional<uint64_t> Number(std::initializer_list<const char*> path) const {
    const json* at = At(path);
    if (at == nullptr || !at->is_number()) return std::nullopt;
    // Counters of 128 bits come as floating point where they are that large.
    if (at->is_number_float()) {
      const double value = at->get<double>();
      if (value < 0) return std::nullopt;
      return value >= 1.8e19 ? std::numeric_limits<uint64_t>::max() : static_cast<uint64_t>(value);
    }
    if (!at->is_number_unsigned() && at->get<int64_t>() < 0) return std::nullopt;
    return at->get<uint64_t>();
  }
  std::optional<uint32_t> Percent(std::initializer_list<const char*> path) const {
    const auto number = Number(path);
    if (!number || *number > 1000) return std::nullopt;
    return static_cast<uint32_t>(*number);
  }

 private:
  const json& value_;
};

struct Attribute {
  uint64_t id = 0;
  std::string name;
  std::optional<uint64_t> value, raw;
};
std::vector<Attribute> AttributesOf(const Smart& smart) {
  std::vector<Attribute> attributes;
  const json* table = smart.At({"ata_smart_attributes", "table"});
  if (table == nullptr || !table->is_array()) return attributes;
  for (const json& entry : *table) {
    const Smart one(entry);
    Attribute attribute{
        .id = one.Number({"id"}).value_or(0), .name = {}, .value = one.Number({"value"}), .raw = {}};
    const json* name = one.At({"name"});
    if (name != nullptr && name->is_string()) attribute.name = name->get<std::string>();
    // Some disks pack more into the raw number than the count, which smartctl then prints first.
    const json* text = one.At({"raw", "string"});
    if (text != nullptr && text->is_string()) attribute.raw = LeadingNumber(text->get<std::string>());
    if (!attribute.raw) attribute.raw = one.Number({"raw", "value"});
    attributes.push_back(std::move(attribute));
  }
  return attributes;
}

// The attributes that Proxmox VE, too, reads the wear of a SATA SSD from, in its order: their normalised
// value is what is left, in percent.
constexpr std::string_view kLifeLeft[] = {
    "Media_Wearout_Indicator", "SSD_Life_Left",           "Wear_Leveling_Count",     "Perc_Write/Erase_Ct_BC",
    "Perc_Rated_Life_Remain",  "Remaining_Lifetime_Perc", "Percent_Lifetime_Remain", "Lifetime_Left",
    "PCT_Life_Remaining",      "Lifetime_Remaining",      "Percent_Life_Remaining",  "Percent_Lifetime_Used",
    "Perc_Rated_Life_Used"};
// Under this number some SSDs count the wear up and some down, all by the name of the first one above.
constexpr uint64_t kAmbiguousWearout = 230;

std::optional<uint32_t> WearOf(const std::vector<Attribute>& attributes) {
  for (const std::string_view name : kLifeLeft) {
    for (const Attribute& attribute : attributes) {
      if (attribute.name != name || attribute.id == kAmbiguousWearout || !attribute.value) continue;
      if (*attribute.value <= 100) return static_cast<uint32_t>(100 - *attribute.value);
    }
  }
  return std::nullopt;
}

// The first message that says why, without the path of the disk in front.
std::string Complaint(const Smart& smart, int exit_code) {
  const json* messages = smart.At({"smartctl", "messages"});
  std::string first;
  if (messages != nullptr && messages->is_array()) {
    for (const json& message : *messages) {
      const json* text = Smart(message).At({"string"});
      if (text == nullptr || !text->is_string()) continue;
      const std::string said = text->get<std::string>();
      // "-n standby" leaves it alone, and says so.
      const bool asleep =
          said.find("STANDBY") != std::string::npos || said.find("SLEEP") != std::string::npos;
      if (asleep && said.find("mode, exit(") != std::string::npos) return "it sleeps, and was not woken";
      if (first.empty()) first = said.starts_with("/dev/") ? Trim(RestAfter(said, ": ")) : said;
    }
  }
  return first.empty() ? fmt::format("smartctl ended with {}", exit_code) : first;
}

}  // namespace

std::optional<ScanState> ParseScan(std::string_view line) {
  const std::string text = Trim(line);
  ScanState scan;
  if (text.starts_with("resilver")) {
    scan.kind = ScanState::Kind::kResilver;
  } else if (!text.starts_with("scrub")) {
    return std::nullopt;  // "none requested"
  }
  if (text.find(" in progress since ") != std::string::npos) {
    scan.stage = ScanState::Stage::kRunning;
    scan.date = DayOf(RestAfter(text, " since "));
  } else if (text.find(" canceled on ") != std::string::npos ||
             text.find(" paused since ") != std::string::npos) {
    scan.stage = ScanState::Stage::kStopped;
    scan.date = DayOf(RestAfter(text, text.find(" paused since ") == std::string::npos ? " on " : " since "));
  } else {
    scan.errors = LeadingNumber(WordAfter(text, " with ")).value_or(0);
    scan.date = DayOf(RestAfter(text, " on "));
  }
  return scan;
}

std::map<std::string, PoolHealth, std::less<>> ParsePoolHealth(std::string_view status) {
  std::map<std::string, PoolHealth, std::less<>> pools;
  PoolHealth* pool = nullptr;
  bool in_scan = false;
  std::istringstream lines{std::string(status)};
  for (std::string line; std::getline(lines, line);) {
    const std::string text = Trim(line);
    const bool deeper = line.starts_with('\t');
    if (!deeper && text.starts_with("pool: ")) {
      pool = &pools[text.substr(6)];
      in_scan = false;
    } else if (pool == nullptr) {
      continue;
    } else if (!deeper && text.starts_with("scan: ")) {
      const auto scan = ParseScan(text.substr(6));
      in_scan = scan.has_value();
      if (scan) pool->scans.push_back(*scan);
    } else if (in_scan && deeper) {
      // "	0B repaired, 12.34% done, 01:02:03 to go"
      const size_t done = text.find("% done");
      if (done == std::string::npos) continue;
      const size_t begin = text.rfind(' ', done) + 1;  // 0 where there is none
      pool->scans.back().progress = text.substr(begin, done + 1 - begin);
    } else if (!deeper && text.starts_with("errors: ")) {
      const std::string errors = text.substr(8);
      if (errors.starts_with("No known")) pool->data_errors = 0;
      if (const auto count = LeadingNumber(errors)) pool->data_errors = *count;
      in_scan = false;
    } else if (!deeper && !text.empty()) {
      in_scan = false;
    }
  }
  return pools;
}

DiskHealth ParseSmart(std::string_view text, int exit_code) {
  // smartctl's exit code is a mask: 1 and 2 say that it could not begin, 4 that something could not be read,
  // and the rest what the disk is like, which the fields say, too.
  constexpr int kNotBegun = 3;
  DiskHealth health;
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    health.unknown = fmt::format("smartctl printed nothing that can be read, and ended with {}", exit_code);
    return health;
  }
  const Smart smart(parsed);
  if ((exit_code & kNotBegun) != 0) {
    health.unknown = Complaint(smart, exit_code);
    return health;
  }
  if (const auto passed = smart.Bool({"smart_status", "passed"}))
    health.verdict = *passed ? DiskHealth::Verdict::kPassed : DiskHealth::Verdict::kFailed;
  const std::vector<Attribute> attributes = AttributesOf(smart);
  constexpr char kNvme[] = "nvme_smart_health_information_log";
  health.wear_percent = smart.Percent({kNvme, "percentage_used"});
  if (!health.wear_percent) health.wear_percent = smart.Percent({"endurance_used", "current_percent"});
  if (!health.wear_percent) health.wear_percent = smart.Percent({"scsi_percentage_used_endurance_indicator"});
  if (!health.wear_percent) health.wear_percent = WearOf(attributes);
  health.spare_percent = smart.Percent({kNvme, "available_spare"});
  health.spare_threshold_percent = smart.Percent({kNvme, "available_spare_threshold"});
  health.critical_warning =
      static_cast<uint32_t>(smart.Number({kNvme, "critical_warning"}).value_or(0) & 0xFF);
  health.media_errors = smart.Number({kNvme, "media_errors"});
  health.reallocated_sectors = smart.Number({"scsi_grown_defect_list"});
  for (const Attribute& attribute : attributes) {
    if (attribute.id == 5) health.reallocated_sectors = attribute.raw;
    if (attribute.id == 197) health.pending_sectors = attribute.raw;
    if (attribute.id == 198) health.uncorrectable_sectors = attribute.raw;
  }
  const json* temperature = smart.At({"temperature", "current"});
  if (temperature != nullptr && temperature->is_number_integer())
    health.temperature_celsius = temperature->get<int32_t>();
  health.power_on_hours = smart.Number({"power_on_time", "hours"});
  if (health.verdict == DiskHealth::Verdict::kUnknown) {
    health.unknown = smart.Bool({"smart_support", "available"}).value_or(true) ? Complaint(smart, exit_code)
                                                                               : "it has no SMART";
  }
  return health;
}

}  // namespace phoenix::zfs

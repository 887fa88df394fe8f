#include "services/samba/domain/samba_spec.h"

#include <algorithm>
#include <set>

#include "services/samba/domain/parameters.h"
#include "services/samba/domain/share_features.h"
#include "services/samba/domain/smb_conf.h"

namespace phoenix::samba {
namespace {

constexpr size_t kLongestAccount = 32;
constexpr size_t kLongestShare = 80;

// smbd gives these a meaning of its own.
const std::set<std::string_view> kReservedShares = {"global", "homes", "printers",
                                                    "print$", "ipc$",  "admin$"};

class Checker {
 public:
  explicit Checker(SambaSpec& spec) : spec_(spec) {}

  std::vector<FieldViolation> Run() {
    for (ShareSpec& share : spec_.shares) CheckShare(share);
    for (const UserSpec& user : spec_.users) CheckUser(user);
    for (const auto& [name, value] : spec_.globals) CheckGlobal(name, value);
    for (const std::string& client : spec_.clients) {
      if (client.empty() || client.find_first_not_of("0123456789abcdefABCDEF.:/") != std::string::npos) {
        Report("samba.clients", fmt::format("'{}' is no address and no CIDR", client));
      }
    }
    return std::move(violations_);
  }

 private:
  void Report(const std::string& field, const std::string& description) {
    violations_.push_back({field, description});
  }

  void CheckShare(ShareSpec& share) {
    const std::string place = share.origin + ".name";
    if (!IsOneLine(share.name) || share.name.empty() || share.name.size() > kLongestShare ||
        share.name.find_first_of("[]%\\/:*?\"<>|+=;,#") != std::string::npos || share.name.front() == ' ' ||
        share.name.back() == ' ' || share.name.front() == '-') {
      return Report(place, fmt::format("'{}' is no name for a share", share.name));
    }
    if (kReservedShares.count(ShareKey(share.name)) > 0) {
      Report(place, fmt::format("the share name '{}' has a meaning of its own for Samba", share.name));
    }
    if (!share_names_.insert(ShareKey(share.name)).second) {
      Report(place,
             fmt::format("the share '{}' is declared twice (upper and lower case are the same)", share.name));
    }
    if (share.absent) return;
    FoldOptions(share);
    AddFeatures(share, violations_);
    CheckPath(share);
    for (size_t i = 0; i < share.valid_users.size(); ++i) {
      const std::string& user = share.valid_users[i];
      if (!IsAccountName(IsGroup(user) ? user.substr(1) : user)) {
        Report(fmt::format("{}.valid_users[{}]", share.origin, i),
               fmt::format("'{}' is no account and no @group", user));
      }
    }
    if (share.valid_users.empty() && !share.guest_ok) {
      Report(share.origin + ".valid_users",
             fmt::format("the share '{}' names no valid users: it would be open to everybody who can log in",
                         share.name));
    }
  }

  void CheckPath(const ShareSpec& share) {
    const std::string& path = share.path;
    if (path.size() < 2 || path.front() != '/' || path.back() == '/' ||
        path.find("//") != std::string::npos || (path + "/").find("/../") != std::string::npos ||
        (path + "/").find("/./") != std::string::npos) {
      return Report(share.origin + ".path", fmt::format("'{}' is no absolute path below /", path));
    }
    // smbd replaces %-sequences, and takes quotation marks and a backslash at the end away.
    if (!IsOneLine(path) || path.find_first_of("%\\\"") != std::string::npos) {
      Report(share.origin + ".path", fmt::format("Samba would read the path '{}' otherwise", path));
    }
  }

  // The typed fields win their own contradictions: an option that repeats one must say the same.
  void FoldOptions(ShareSpec& share) {
    std::map<std::string, std::string> rest;
    for (const auto& [name, value] : share.options) {
      const std::string place = OptionOf(share, name);
      const auto canonical = Canonical(name, value);
      if (!canonical) {
        Report(place, fmt::format("the option '{}' is yes or no, not '{}'", name, value));
        continue;
      }
      // Judged by the canonical name: "directory" is a path, too.
      const std::string refused = WhyRefused(canonical->name, canonical->value);
      if (!refused.empty()) {
        Report(place, fmt::format("the option '{}' is refused: {}", name, refused));
        continue;
      }
      if (FoldTyped(share, *canonical, place)) continue;
      const auto known = rest.find(canonical->name);
      if (known != rest.end() && !SameValue(canonical->name, known->second, canonical->value)) {
        Report(place, fmt::format("two options give '{}' two values", canonical->name));
      }
      rest[canonical->name] = canonical->value;
    }
    share.options = std::move(rest);
  }

  static std::string OptionOf(const ShareSpec& share, const std::string& name) {
    return share.origin + ".options." + name;
  }

  bool FoldTyped(ShareSpec& share, const Parameter& option, const std::string& place) {
    if (option.name == "valid users") {
      std::vector<std::string> users;
      std::string word;
      for (const char c : option.value + " ") {
        if (c != ' ' && c != '\t' && c != ',') {
          word += c;
        } else if (!word.empty()) {
          users.push_back(std::exchange(word, {}));
        }
      }
      if (share.valid_users.empty()) share.valid_users = users;
      if (share.valid_users != users) Report(place, "the options name other valid users than the share");
      return true;
    }
    bool* field = option.name == "browseable"  ? &share.browseable
                  : option.name == "read only" ? &share.read_only
                  : option.name == "guest ok"  ? &share.guest_ok
                                               : nullptr;
    if (field == nullptr) return false;
    const auto value = ParseBool(option.value);
    if (!value) {
      Report(place, fmt::format("the option '{}' is yes or no, not '{}'", option.name, option.value));
    } else if (*value != *field) {
      Report(place, fmt::format("the option '{} = {}' contradicts the share", option.name, option.value));
    }
    return true;
  }

  void CheckUser(const UserSpec& user) {
    const std::string place = user.origin + ".name";
    if (!IsAccountName(user.name)) Report(place, fmt::format("'{}' is no name for an account", user.name));
    if (user.name == "root") Report(place, "root is not for file sharing");
    if (!user_names_.insert(user.name).second) {
      Report(place, fmt::format("the user '{}' is declared twice", user.name));
    }
    if (!user.absent) return;
    for (const ShareSpec& share : spec_.shares) {
      if (share.absent || std::count(share.valid_users.begin(), share.valid_users.end(), user.name) == 0)
        continue;
      Report(place,
             fmt::format("the user '{}' shall go, but the share '{}' names it", user.name, share.name));
    }
  }

  void CheckGlobal(const std::string& name, const std::string& value) {
    if (!IsSettableGlobal(name)) {
      Report("samba.globals", fmt::format("the global parameter '{}' is not for Phoenix to set", name));
    } else if (const std::string refused = WhyRefused(name, value); !refused.empty()) {
      Report("samba.globals", fmt::format("'{}': {}", name, refused));
    }
  }

  SambaSpec& spec_;
  std::vector<FieldViolation> violations_;
  std::set<std::string> share_names_, user_names_;
};

}  // namespace

std::vector<FieldViolation> Canonicalise(SambaSpec& spec) { return Checker(spec).Run(); }

bool IsAccountName(const std::string& name) {
  if (name.empty() || name.size() > kLongestAccount) return false;
  const auto first = name[0];
  if ((first < 'a' || first > 'z') && first != '_') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace phoenix::samba

#include "services/samba/domain/share_sessions.h"

#include <absl/strings/match.h>

#include <algorithm>
#include <vector>

namespace phoenix::samba {
namespace {

// Two sections, asked for what the second one takes away.
class Comparison {
 public:
  Comparison(const Section& before, const Section& after) : before_(before), after_(after) {}

  bool TakesFromAll() const {
    return !SameValue("path", Before("path"), After("path")) || Became("read only", true, true) ||
           Became("guest ok", false, false) || Became("available", false, true) ||
           (Drops("write list") && Is(after_, "read only", true)) || Drops("admin users") ||
           Differ("force user") || Differ("force group") || HostsTightened() ||
           Became("wide links", false, false) || Drops("vfs objects") ||
           (MeansTheSame(After(kEncrypt), "required") && !MeansTheSame(Before(kEncrypt), "required"));
  }
  bool TakesFromSome() const {
    const bool named = Before("valid users").empty() ? !After("valid users").empty()
                                                     : Drops("valid users") && !After("valid users").empty();
    return named || Adds("invalid users") || Adds("read list");
  }
  // smbd then asks whether the forced user may stay, in whose name all sessions go on.
  bool ForcesSomebody() const { return !Before("force user").empty() || !Before("force group").empty(); }

 private:
  static constexpr char kEncrypt[] = "server smb encrypt";

  static std::string In(const Section& section, const std::string& name) {
    const auto found = section.parameters.find(name);
    return found == section.parameters.end() ? "" : found->second;
  }
  std::string Before(const std::string& name) const { return In(before_, name); }
  std::string After(const std::string& name) const { return In(after_, name); }

  // `standard`: what smbd takes where nothing is said.
  static bool Is(const Section& section, const std::string& name, bool standard) {
    return ParseBool(In(section, name)).value_or(standard);
  }
  bool Became(const std::string& name, bool value, bool standard) const {
    return Is(before_, name, standard) != value && Is(after_, name, standard) == value;
  }
  bool Differ(const std::string& name) const { return !SameValue(name, Before(name), After(name)); }

  static bool Lacks(const std::string& list, const std::string& words_of) {
    const std::vector<std::string> there = Words(list), asked = Words(words_of);
    return std::any_of(asked.begin(), asked.end(), [&](const std::string& word) {
      return std::find(there.begin(), there.end(), word) == there.end();
    });
  }
  bool Drops(const std::string& name) const { return Lacks(After(name), Before(name)); }
  bool Adds(const std::string& name) const { return Lacks(Before(name), After(name)); }

  static bool Excepts(const std::string& list) {
    const std::vector<std::string> words = Words(list);
    return std::any_of(words.begin(), words.end(),
                       [](const std::string& word) { return absl::EqualsIgnoreCase(word, "EXCEPT"); });
  }
  bool HostsTightened() const {
    for (const char* name : {"hosts allow", "hosts deny"}) {
      // Exceptions turn more into less.
      if (Differ(name) && (Excepts(Before(name)) || Excepts(After(name)))) return true;
    }
    const bool allows_fewer =
        !After("hosts allow").empty() && (Before("hosts allow").empty() || Drops("hosts allow"));
    // Without a list of those who are denied, who is not allowed is denied; with one, who is not denied is
    // let in, and who is allowed although denied.
    return allows_fewer || Adds("hosts deny") || (!After("hosts deny").empty() && Drops("hosts allow")) ||
           (!Before("hosts deny").empty() && After("hosts deny").empty() && !After("hosts allow").empty());
  }

  const Section& before_;
  const Section& after_;
};

}  // namespace

std::string ToText(Cut cut) {
  switch (cut) {
    case Cut::kDenied:
      return "denied";
    case Cut::kEverybody:
      return "everybody";
    case Cut::kNobody:
      break;
  }
  return "nobody";
}

Cut ParseCut(std::string_view text) {
  if (text == "denied") return Cut::kDenied;
  return text == "everybody" ? Cut::kEverybody : Cut::kNobody;
}

Cut SessionsToEnd(const Section* before, const Section* after) {
  if (before == nullptr) return Cut::kNobody;
  if (after == nullptr) return Cut::kEverybody;
  const Comparison comparison(*before, *after);
  if (comparison.TakesFromAll()) return Cut::kEverybody;
  if (!comparison.TakesFromSome()) return Cut::kNobody;
  return comparison.ForcesSomebody() ? Cut::kEverybody : Cut::kDenied;
}

}  // namespace phoenix::samba

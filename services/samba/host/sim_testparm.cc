#include "services/samba/host/sim_testparm.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "services/samba/host/sim_parameters.h"

namespace phoenix::samba {
namespace {

constexpr int kDeepestInclude = 8;

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  while (!text.empty() && kBlanks.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && kBlanks.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return std::string(text);
}

std::string Words(const std::string& text) {
  std::string words, word;
  for (const char c : text + " ") {
    if (c != ' ' && c != '\t' && c != ',' && c != ';') {
      word += c;
    } else if (!word.empty()) {
      words += (words.empty() ? "" : " ") + std::exchange(word, {});
    }
  }
  return words;
}

// Of the words for one value testparm prints the first that it knows, whichever was written.
std::string Printed(const std::string& value) {
  static const std::map<std::string, std::string> kPrinted = {
      {"mandatory", "required"}, {"auto", "if_required"}, {"SMB2_10", "SMB2"}, {"SMB3_11", "SMB3"}};
  const auto found = kPrinted.find(value);
  return found == kPrinted.end() ? value : found->second;
}

class Reader {
 public:
  explicit Reader(const ReadText& read) : read_(read) {
    for (const SimParameter& parameter : ShareParameters())
      defaults_[parameter.name] = parameter.default_value;
    globals_ = GlobalDefaults();
  }

  CheckedConfig Run(const std::string& text) {
    CheckedConfig config;
    config.loads = Process(text, 0);
    config.problems = std::move(problems_);
    if (!config.loads) return config;
    config.dump.globals = globals_;
    config.dump.globals.insert(defaults_.begin(), defaults_.end());
    for (const auto& [key, service] : services_) {
      Section& section = config.dump.shares[key];
      section.name = service.name;
      for (const auto& [name, value] : service.parameters) {
        const auto standard = defaults_.find(name);
        if (standard == defaults_.end() || standard->second != value) section.parameters[name] = value;
      }
    }
    return config;
  }

 private:
  bool Process(const std::string& text, int depth) {
    size_t at = 0;
    while (at < text.size()) {
      std::string line;
      bool continued = true;
      while (continued && at < text.size()) {
        const size_t newline = std::min(text.find('\n', at), text.size());
        std::string piece = Trimmed(std::string_view(text).substr(at, newline - at));
        at = newline + 1;
        const bool comment = line.empty() && !piece.empty() && (piece[0] == '#' || piece[0] == ';');
        continued = !comment && !piece.empty() && piece.back() == '\\';
        if (continued) piece = Trimmed(piece.substr(0, piece.size() - 1));
        line += (line.empty() || piece.empty() ? "" : " ") + piece;
      }
      if (line.empty() || line[0] == '#' || line[0] == ';') continue;
      if (line[0] == '[') {
        Enter(Trimmed(line.substr(1, line.find(']') - 1)));
        continue;
      }
      const auto equals = line.find('=');
      if (equals == std::string::npos) {
        problems_.push_back(fmt::format("Ignoring badly formed line in configuration file: {}", line));
        continue;
      }
      if (!Set(Trimmed(line.substr(0, equals)), Trimmed(line.substr(equals + 1)), depth)) return false;
    }
    return true;
  }

  // Stays in force after the end of an included text: the include line continues in whatever section that
  // ended in.
  void Enter(const std::string& name) {
    current_ = ShareKey(name);
    if (current_ == "global") return;
    const auto [service, created] = services_.try_emplace(current_, Section{name, {}});
    if (created) service->second.parameters = defaults_;
  }

  bool Set(const std::string& given_name, const std::string& given_value, int depth) {
    if (Squeezed(given_name) == "include") {
      const auto text = read_(given_value);
      // A missing file is nothing to speak of for testparm.
      return !text || depth >= kDeepestInclude || Process(*text, depth + 1);
    }
    const auto canonical = Canonical(given_name, given_value);
    if (!canonical) return Refuse(given_value, "boolean");
    const bool global = current_ == "global";
    if (canonical->name.find(':') != std::string::npos) {
      (global ? globals_ : services_[current_].parameters)[canonical->name] = canonical->value;
      return true;
    }
    const SimParameter* parameter = FindShareParameter(canonical->name);
    if (parameter == nullptr) {
      if (!IsKnownGlobal(canonical->name)) {
        problems_.push_back(fmt::format("Unknown parameter encountered: \"{}\"", given_name));
      } else if (!global) {
        problems_.push_back(fmt::format("Global parameter {} found in service section!", canonical->name));
      } else {
        const auto boolean = ParseBool(canonical->value);
        const bool is_word = canonical->value.find_first_of("01") == std::string::npos;
        globals_[canonical->name] =
            boolean && is_word ? (*boolean ? "Yes" : "No") : Printed(canonical->value);
      }
      return true;
    }
    std::string value = canonical->value;
    if (parameter->kind == SimParameter::Kind::kBool) {
      const auto boolean = ParseBool(value);
      if (!boolean) return Refuse(value, "boolean");
      value = *boolean ? "Yes" : "No";
    } else if (parameter->kind == SimParameter::Kind::kOctal) {
      if (value.empty() || value.find_first_not_of("01234567") != std::string::npos)
        return Refuse(value, "an octal mode");
      value = fmt::format("{:04o}", std::stoul(value, nullptr, 8));
    } else if (parameter->kind == SimParameter::Kind::kList) {
      value = Words(value);
    }
    (global ? defaults_ : services_[current_].parameters)[parameter->name] = value;
    return true;
  }

  bool Refuse(const std::string& value, std::string_view kind) {
    problems_.push_back(fmt::format("set_variable_helper({}): value is not {}!", value, kind));
    return false;
  }

  const ReadText& read_;
  Parameters globals_;
  Parameters defaults_;
  std::map<std::string, Section> services_;
  std::string current_ = "global";
  std::vector<std::string> problems_;
};

}  // namespace

CheckedConfig SimTestparm(const std::string& smb_conf, const ReadText& read) {
  return Reader(read).Run(smb_conf);
}

}  // namespace phoenix::samba

// storage.cfg, read as the genuine tools read it.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cctype>

#include "base/digest/digest.h"
#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/domain/storage_schema.h"
#include "services/proxmox/host/proxmox_parse.h"

namespace phoenix::proxmox {
namespace {

bool IsBlank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

struct Header {
  std::string type;
  std::string id;
};

// "type: id", from the first column, the type in any case.
std::optional<Header> ParseHeader(std::string_view line) {
  while (!line.empty() && IsBlank(line.back())) line.remove_suffix(1);
  // The type reaches to the last colon that leaves an id of one word behind it.
  for (size_t colon = line.rfind(':'); colon != std::string_view::npos && colon > 0;
       colon = line.rfind(':', colon - 1)) {
    const std::string_view type = line.substr(0, colon);
    const std::string_view id = Trim(line.substr(colon + 1));
    if (id.empty() || std::any_of(id.begin(), id.end(), IsBlank) ||
        std::any_of(type.begin(), type.end(), IsBlank)) {
      continue;
    }
    Header header{std::string(type), std::string(id)};
    for (char& c : header.type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return header;
  }
  return std::nullopt;
}

struct Property {
  std::string key;
  std::optional<std::string> value;  // nullopt: a bare word
};

// A property needs whitespace in front; otherwise the line is dropped.
std::optional<Property> ParseProperty(std::string_view line) {
  if (line.empty() || !IsBlank(line.front())) return std::nullopt;
  line = Trim(line);
  if (line.empty()) return std::nullopt;
  const auto end = std::find_if(line.begin(), line.end(), IsBlank);
  Property property{std::string(line.begin(), end), std::nullopt};
  const std::string_view rest = Trim(line.substr(static_cast<size_t>(end - line.begin())));
  if (!rest.empty()) property.value = std::string(rest);
  return property;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) { config_.digest = Sha1Hex(text); }

  StorageConfig Read() {
    while (Next()) {
      if (line_.empty()) continue;
      const auto header = ParseHeader(line_);
      if (!header) {
        Lose("a line outside of any section");
        continue;
      }
      Section(*header);
    }
    Local();
    return std::move(config_);
  }

 private:
  // The next line that is no comment; comments count as lines of nothing, so they do not end a section.
  bool Next() {
    while (position_ < text_.size()) {
      const size_t end = std::min(text_.find('\n', position_), text_.size());
      line_ = text_.substr(position_, end - position_);
      position_ = end + 1;
      ++number_;
      const std::string_view trimmed = Trim(line_);
      if (trimmed.empty() || trimmed.front() != '#') return true;
      Lose("a comment");
    }
    return false;
  }

  void Lose(std::string_view what) {
    config_.lost.push_back(fmt::format("line {} ({}): {}", number_, what, Trim(line_)));
  }

  void Section(const Header& header) {
    const TypeRule* type = FindType(header.type);
    const int header_line = number_;
    const bool skipped = type == nullptr || !IsStorageId(header.id);
    if (skipped) Lose(type == nullptr ? "a section of an unknown type" : "a section with an invalid id");
    StorageEntry entry{header.id, header.type, {}, {}, false, {}, false};
    std::map<std::string, std::string> values;
    while (Next() && !line_.empty()) {
      const auto property = ParseProperty(line_);
      if (!property) {
        // A line of blanks alone, or one that begins in the first column: a header without an empty line
        // before it.
        if (!Trim(line_).empty())
          Lose("ignored: it follows section '" + header.id + "' without an empty line");
        continue;
      }
      if (skipped) {
        Lose("in a skipped section");
      } else if (values.count(property->key) != 0) {
        Lose("a second value");
      } else if (const auto value = Accepted(*type, *property)) {
        values[property->key] = *value;
      } else {
        Lose("an unknown property or a value that Proxmox VE does not accept");
      }
    }
    if (skipped) return;
    Fill(*type, values, entry, header_line);
    const auto duplicate = std::find(config_.order.begin(), config_.order.end(), header.id);
    if (duplicate != config_.order.end()) {
      config_.order.erase(duplicate);
      config_.lost.push_back(fmt::format(
          "line {} (an earlier section of the same id '{}' counts for nothing)", header_line, header.id));
    }
    config_.order.push_back(header.id);
    config_.entries[header.id] = std::move(entry);
  }

  // The value as it counts, or nullopt where the reader drops the line.
  static std::optional<std::string> Accepted(const TypeRule& type, const Property& property) {
    if (property.key == "disable") {
      const auto boolean = ParseBoolean(property.value.value_or("1"));
      if (!boolean) return std::nullopt;
      return *boolean ? "1" : "0";
    }
    if (property.key == "content") {
      if (!property.value) return std::nullopt;
      for (const auto& word : SplitList(*property.value)) {
        if (!IsContentWord(word)) return std::nullopt;
      }
      return property.value;
    }
    if (property.key == "nodes") {
      if (!property.value) return std::nullopt;
      for (const auto& node : SplitList(*property.value)) {
        if (!IsNodeName(node)) return std::nullopt;
      }
      return property.value;
    }
    const OptionRule* rule = FindOption(type, property.key);
    // Of types that Phoenix does not manage not all options are known: they stay as they are.
    if (rule == nullptr) {
      if (type.managed) return std::nullopt;
      return property.value.value_or("1");
    }
    if (rule->kind == OptionKind::kBoolean) {
      const auto boolean = ParseBoolean(property.value.value_or("1"));
      if (!boolean) return std::nullopt;
      return *boolean ? "1" : "0";
    }
    if (!property.value) return std::nullopt;
    if (rule->kind == OptionKind::kNumber &&
        property.value->find_first_not_of("-0123456789") != std::string::npos) {
      return std::nullopt;
    }
    if (rule->kind == OptionKind::kPath && property.value->front() != '/') return std::nullopt;
    return property.value;
  }

  void Fill(const TypeRule& type, const std::map<std::string, std::string>& values, StorageEntry& entry,
            int line) {
    const auto path = values.find("path");
    bool content_named = false;
    for (const auto& [key, value] : values) {
      if (key == "disable") {
        entry.disabled = value == "1";
      } else if (key == "nodes") {
        for (const auto& node : SplitList(value)) entry.nodes.insert(node);
      } else if (key == "content") {
        content_named = true;
        for (const auto& word : SplitList(value)) {
          if (type.content.count(word) != 0) entry.content.insert(word);
        }
        // A word that this type cannot hold is dropped with a warning; when none is left the section fails as
        // a whole.
        if (entry.content.empty() && type.managed && type.content.count("none") == 0) {
          Break(entry.id, line,
                fmt::format("none of its contents ({}) is possible for type {}", value, entry.type));
        }
      } else {
        const OptionRule* rule = FindOption(type, key);
        entry.options[key] =
            rule == nullptr ? value : NormalValue(*rule, value, path == values.end() ? "" : path->second);
      }
    }
    if (!content_named) entry.content = type.default_content;
    for (const OptionRule& rule : type.options) {
      if (rule.required && entry.options.count(rule.name) == 0) {
        Break(entry.id, line, fmt::format("the required option '{}' is missing", rule.name));
      }
    }
    if (entry.type == kDir && path != values.end() && !IsDirectoryPath(path->second)) {
      Break(entry.id, line,
            fmt::format("its path '{}' is not one that a dir storage may have", path->second));
    }
  }

  void Break(const std::string& id, int line, std::string_view why) {
    // A `local` that fails is replaced by the implicit one.
    if (id == kLocal) return;
    config_.broken.push_back(fmt::format("section '{}' (line {}): {}", id, line, why));
  }

  // Every node has `local`, whatever the file says of its type, path and nodes.
  void Local() {
    const std::string local(kLocal);
    const auto found = config_.entries.find(local);
    const bool usable = found != config_.entries.end() && found->second.type == kDir &&
                        found->second.options["path"] == kLocalPath;
    if (usable) {
      found->second.nodes.clear();
      return;
    }
    StorageEntry entry{local,
                       std::string(kDir),
                       {"backup", "images", "iso", "rootdir", "snippets", "vztmpl"},
                       {},
                       false,
                       {{"path", std::string(kLocalPath)}, {"prune-backups", "keep-all=1"}},
                       true};
    config_.entries[local] = std::move(entry);
  }

  std::string_view text_;
  std::string_view line_;
  size_t position_ = 0;
  int number_ = 0;
  StorageConfig config_;
};

}  // namespace

std::string Sha1Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha1(), nullptr);
  return ToHex(std::string_view(reinterpret_cast<const char*>(digest), size));
}

StorageConfig ParseStorageConfig(std::string_view text) { return Reader(text).Read(); }

}  // namespace phoenix::proxmox

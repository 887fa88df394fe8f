#include "services/proxmox/domain/storage_spec_check.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "services/proxmox/domain/storage_entry.h"
#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

Definition DeclaredDefinition(const StorageSpec& spec) {
  return {spec.type, spec.content.empty() ? std::nullopt : std::optional(spec.content), spec.options};
}

class Check {
 public:
  explicit Check(std::vector<FieldViolation>& violations) : violations_(violations) {}

  void Storage(const StorageSpec& spec) {
    if (!IsStorageId(spec.id)) {
      Add(spec, "id",
          "'{}' is no storage id: at least two of letters, digits, '.', '_' and '-', a letter first, a "
          "letter "
          "or digit last",
          spec.id);
    }
    if (spec.id == kLocal) {
      Add(spec, "id",
          "'local' is Proxmox VE's own storage; Phoenix leaves it alone: give the entry another id");
    }
    // Only its name matters.
    if (spec.absent) return;
    const TypeRule* type = FindType(spec.type);
    if (type == nullptr || !type->managed) {
      Add(spec, "type", "'{}' is not a type that Phoenix manages: zfspool, dir, nfs or cifs", spec.type);
      return;
    }
    Content(spec, *type);
    if (!spec.password_secret.empty() && (spec.type != kCifs || spec.options.count("username") == 0)) {
      Add(spec, "password_secret", "only a cifs entry with the option 'username' has a password");
    }
    for (const auto& [name, value] : spec.options) Option(spec, *type, name, value);
    for (const OptionRule& rule : type->options) {
      const auto found = spec.options.find(rule.name);
      if (rule.required && (found == spec.options.end() || found->second.empty())) {
        AddOption(spec, rule.name, "an entry of type {} needs the option '{}'", spec.type, rule.name);
      }
    }
  }

  // Two declarations of one id, or of one folder for the same contents (the scripts named NFS storages by
  // basename, so that two paths collided).
  void Collisions(const ProxmoxSpec& spec) {
    std::map<std::string, const StorageSpec*> by_id;
    std::multimap<std::string, const StorageSpec*> by_path;
    for (const StorageSpec& storage : spec.storages) {
      const auto [id, first] = by_id.emplace(storage.id, &storage);
      if (!first) {
        Add(storage, "id", "'{}' is declared twice, first at {}: give one of them another id", storage.id,
            id->second->origin.empty() ? "an earlier place" : id->second->origin);
        continue;
      }
      const Definition definition = DeclaredDefinition(storage);
      const std::string path = PathOf(storage.id, definition);
      if (storage.absent || path.empty()) continue;
      const auto [begin, end] = by_path.equal_range(path);
      for (auto other = begin; other != end; ++other) {
        const Words shared = SharedContent(definition, DeclaredDefinition(*other->second));
        if (shared.empty()) continue;
        AddOption(storage, "path", "{}", OneFolderText(path, other->second->id, shared));
        break;
      }
      by_path.emplace(path, &storage);
    }
  }

 private:
  template <class... Args>
  void Add(const StorageSpec& spec, std::string_view field, fmt::format_string<Args...> format,
           Args&&... args) {
    const std::string place = spec.origin.empty() ? "storages[" + spec.id + "]" : spec.origin;
    violations_.push_back(
        {fmt::format("{}.{}", place, field), fmt::format(format, std::forward<Args>(args)...)});
  }

  template <class... Args>
  void AddOption(const StorageSpec& spec, std::string_view name, fmt::format_string<Args...> format,
                 Args&&... args) {
    Add(spec, fmt::format("options.{}", name), format, std::forward<Args>(args)...);
  }

  void Content(const StorageSpec& spec, const TypeRule& type) {
    for (const std::string& word : spec.content) {
      if (type.content.count(word) == 0) {
        Add(spec, "content", "a {} storage cannot hold '{}', only {}{}", spec.type, word,
            Join(type.content, ", "),
            spec.type == kZfspool && IsContentWord(word) ? "; use a dir entry on the dataset's mount point"
                                                         : "");
      }
    }
    if (spec.content.count("none") != 0 && spec.content.size() > 1) {
      Add(spec, "content", "'none' cannot be combined with other contents");
    } else if (spec.content.count("none") != 0) {
      Add(spec, "content",
          "Proxmox VE cannot add an enabled storage with content 'none'; leave the entry out");
    }
  }

  void Option(const StorageSpec& spec, const TypeRule& type, const std::string& name,
              const std::string& value) {
    if (name == "nodes") {
      AddOption(spec, name,
                "an entry belongs to the nodes whose configuration declares it; leave 'nodes' out");
      return;
    }
    if (name == "content" || name == "disable") {
      AddOption(spec, name, "'{}' is no free option{}", name,
                name == "content" ? "; use the field content" : "");
      return;
    }
    if (name == "password") {
      AddOption(
          spec, name,
          "a password never belongs in the configuration; name the secret that holds it (password_secret)");
      return;
    }
    if (name == "maxfiles") {
      AddOption(
          spec, name,
          "Proxmox VE 8 turns maxfiles into prune-backups and 9 does not know it; declare prune-backups "
          "'keep-last={}'",
          value);
      return;
    }
    const OptionRule* rule = FindOption(type, name);
    if (rule == nullptr) {
      AddOption(spec, name, "a {} storage has no option '{}'", spec.type, name);
      return;
    }
    Value(spec, *rule, value);
  }

  void Value(const StorageSpec& spec, const OptionRule& rule, const std::string& value) {
    if (value.empty()) {
      AddOption(spec, rule.name, "the value is empty");
      return;
    }
    for (const char c : value) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        AddOption(spec, rule.name, "the value holds a line feed or another control character");
        return;
      }
    }
    if (value.front() == '-' || value.front() == ' ' || value.back() == ' ') {
      AddOption(spec, rule.name, "'{}' begins with a dash or has blanks around it", value);
      return;
    }
    const bool absolute = value.front() == '/';
    switch (rule.kind) {
      case OptionKind::kBoolean:
        if (!ParseBoolean(value)) AddOption(spec, rule.name, "'{}' is neither 1 nor 0", value);
        break;
      case OptionKind::kNumber:
        if (value.find_first_not_of("0123456789") != std::string::npos) {
          AddOption(spec, rule.name, "'{}' is no number", value);
        }
        break;
      case OptionKind::kPath:
        if (!absolute || value.find_first_of(";()") != std::string::npos) {
          AddOption(spec, rule.name, "'{}' is no absolute path that Proxmox VE accepts", value);
        } else if (rule.name == "path" && spec.type == kDir && !IsDirectoryPath(value)) {
          AddOption(spec, rule.name,
                    "Proxmox VE accepts only letters, digits and / - _ . @ in the path of a dir storage, not "
                    "'{}'",
                    value);
        }
        break;
      case OptionKind::kMountPoint:
        // Proxmox takes any word and then compares it with a path, so that a mistyped one switches the
        // storage off.
        if (!ParseBoolean(value) && !absolute)
          AddOption(spec, rule.name, "'{}' is neither 1, 0 nor a path", value);
        break;
      case OptionKind::kText:
        Text(spec, rule, value);
        break;
      case OptionKind::kList:
        // Proxmox VE refuses it too, but only after the plan was agreed on.
        if (rule.name == "content-dirs" && value.find("..") != std::string::npos) {
          AddOption(spec, rule.name, "'{}' leads out of the storage's folder", value);
        }
        break;
    }
  }

  void Text(const StorageSpec& spec, const OptionRule& rule, const std::string& value) {
    if (value.find(' ') != std::string::npos) {
      AddOption(spec, rule.name, "'{}' holds a blank", value);
    } else if (rule.name == "pool" &&
               (value.front() == '/' || value.back() == '/' || value.find("//") != std::string::npos)) {
      AddOption(spec, rule.name, "'{}' is no dataset: name it as in `zfs list`, without a slash in front",
                value);
    }
  }

  std::vector<FieldViolation>& violations_;
};

}  // namespace

std::string OneFolderText(const std::string& path, const std::string& other, const Words& shared) {
  return fmt::format(
      "{} is the folder of storage '{}' already, which holds {} too; Proxmox VE would list every such file "
      "twice, "
      "and delete it for both: use one entry, or other contents",
      path, other, Join(shared, ", "));
}

std::vector<FieldViolation> CheckSpec(const ProxmoxSpec& spec) {
  std::vector<FieldViolation> violations;
  Check check(violations);
  for (const StorageSpec& storage : spec.storages) check.Storage(storage);
  check.Collisions(spec);
  return violations;
}

}  // namespace phoenix::proxmox

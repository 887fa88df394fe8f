// What the simulated node's package source holds: packages with what they bring, as Debian 12 has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phoenix::node {

struct CatalogUnit {
  std::string name;
  std::string enablement;          // after the installation
  std::vector<std::string> pulls;  // started along with it
  std::string alias_of;            // "" for a unit of its own
};

struct CatalogFile {
  std::string path;
  std::string content;
};

struct CatalogPackage {
  std::string name;
  std::vector<std::string> needs;
  std::vector<CatalogUnit> units;
  std::vector<CatalogFile> files;
  std::vector<std::string> directories;
};

// Never moves. nullptr for a package that the source does not have.
const CatalogPackage* FindInCatalog(std::string_view name);
const std::vector<CatalogPackage>& Catalog();

}  // namespace phoenix::node

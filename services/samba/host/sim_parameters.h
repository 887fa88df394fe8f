// The parameters that the simulated testparm knows, with the defaults that Samba 4.17 prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/samba/domain/parameters.h"

namespace phoenix::samba {

struct SimParameter {
  enum class Kind { kBool, kOctal, kNumber, kList, kText };
  const char* name;
  const char* default_value;
  Kind kind;
};

// Those of a share.
const std::vector<SimParameter>& ShareParameters();
// nullptr for a name that no share can have.
const SimParameter* FindShareParameter(std::string_view name);

bool IsKnownGlobal(std::string_view name);
// Of the globals that somebody asks for.
Parameters GlobalDefaults();

}  // namespace phoenix::samba

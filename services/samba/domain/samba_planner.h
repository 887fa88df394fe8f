// From state and spec to steps. Pure: the same input gives the same plan.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status/errors.h"
#include "services/kit/plan/step.h"
#include "services/samba/domain/samba_spec.h"
#include "services/samba/domain/samba_state.h"
#include "services/samba/domain/samba_step.h"

namespace phoenix::samba {

// Where things lie.
struct SambaPaths {
  std::string smb_conf = "/etc/samba/smb.conf";
  std::string own_file = "/etc/samba/phoenix.conf";
};

// What the ledger says of one object.
struct LedgerFact {
  bool created = false;
  std::string identity;
};

struct PlanQuestion {
  SambaSpec spec;  // canonical, see Canonicalise()
  SambaState state;
  std::map<std::string, LedgerFact> ledger;    // by key
  std::map<std::string, std::string> secrets;  // name -> mac of its NT hash; missing ones were not given
  std::vector<std::string> removed_keys;       // what other participants take away
  SambaPaths paths;
};

struct SambaPlan {
  std::vector<PlannedStep> steps;
  std::vector<kit::Note> notes;
  std::vector<FieldViolation> violations;  // where there are any, there is no plan
  // Our file as it will be, for a check before anything is done.
  OwnFile own_after;
};

// One violation for each share, of whomever, that stands on a removed key and is not wanted gone itself.
std::vector<FieldViolation> SharesThatStay(const PlanQuestion& question);

// Where the spec asks for it, adds shares of ours that it does not name any more, as absent ones.
void AddOrphans(PlanQuestion& question);

SambaPlan MakeSambaPlan(const PlanQuestion& question);

// "2026-11-23 01:24:13 UTC".
std::string TimeText(int64_t seconds);

}  // namespace phoenix::samba

// The steps that Samba knows, as typed values.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "services/kit/plan/step.h"
#include "services/samba/domain/share_sessions.h"
#include "services/samba/domain/smb_conf.h"

namespace phoenix::samba {

// Our file, without shares yet.
struct MakeOwnFile {
  friend bool operator==(const MakeOwnFile&, const MakeOwnFile&) = default;
};

// The line in smb.conf.
struct IncludeOwnFile {
  friend bool operator==(const IncludeOwnFile&, const IncludeOwnFile&) = default;
};

struct AddAccount {
  std::string name;
  // Where the account could leave files: the paths of the shares that name it.
  std::vector<std::string> paths;
  friend bool operator==(const AddAccount&, const AddAccount&) = default;
};

struct RemoveAccount {
  std::string name;
  std::string uid;  // as the ledger knows it
  friend bool operator==(const RemoveAccount&, const RemoveAccount&) = default;
};

struct SetPassword {
  std::string name;
  std::string secret;    // its name
  std::string mac;       // of the wanted NT hash, see SambaEntry
  bool add = false;      // there is no entry yet
  bool created = false;  // the entry is ours, by this step or an earlier one
  friend bool operator==(const SetPassword&, const SetPassword&) = default;
};

struct RemoveEntry {
  std::string name;
  friend bool operator==(const RemoveEntry&, const RemoveEntry&) = default;
};

// The whole [global] of our file.
struct SetGlobals {
  Parameters parameters;
  friend bool operator==(const SetGlobals&, const SetGlobals&) = default;
};

struct SetShare {
  Section section;
  bool created = false;
  // Who logs in to verify it, and with which secret; "" where nobody can.
  std::string probe_user;
  std::string probe_secret;
  bool writable = false;
  // Who must be refused, with which secret: a user who can log in and whom the share does not name; "" where
  // nobody is known to be one.
  std::string stranger = {};
  std::string stranger_secret = {};
  // Whose sessions with the share this ends, since it takes away what they have.
  Cut ends = Cut::kNobody;
  friend bool operator==(const SetShare&, const SetShare&) = default;
};

// Ends every session with the share.
struct RemoveShare {
  std::string name;
  friend bool operator==(const RemoveShare&, const RemoveShare&) = default;
};

using SambaStep = std::variant<MakeOwnFile, IncludeOwnFile, AddAccount, RemoveAccount, SetPassword,
                               RemoveEntry, SetGlobals, SetShare, RemoveShare>;

// A typed step with what the plan says about it.
struct PlannedStep {
  SambaStep step;
  std::vector<kit::FieldDiff> diffs;
  std::vector<kit::Requirement> requirements;
};

}  // namespace phoenix::samba

// Whose sessions with a share have to end when the share changes. Pure.
//
// A session keeps what smbd gave it when it began, whatever the file says since (facts-safety S3). Of what is
// taken away smbd can be asked to look at the users again, and ends the sessions of those who are not let in
// any more. Everything else it reads only when a session begins: `read only` among it, seen with 4.17. There
// all sessions with this share have to end; clients connect again by themselves.
#pragma once

#include <string>
#include <string_view>

#include "services/samba/domain/smb_conf.h"

namespace phoenix::samba {

enum class Cut {
  kNobody,
  kDenied,     // who is not let in any more; all others go on
  kEverybody,  // whoever is in the share
};

// "nobody", "denied", "everybody"; anything else is read as nobody.
std::string ToText(Cut cut);
Cut ParseCut(std::string_view text);

// kNobody where nothing is taken away. `before`, `after`: nullptr where there is no share.
Cut SessionsToEnd(const Section* before, const Section* after);

}  // namespace phoenix::samba

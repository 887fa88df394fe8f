// The hash that passdb keeps of a password: MD4 over UTF-16LE (MS-NLMP). OpenSSL offers MD4 only through a
// provider that need not be installed.
#pragma once

#include <string>

#include "base/secret.h"

namespace phoenix::samba {

// 32 upper-case hex digits, as pdbedit prints them. A password that is no UTF-8 is hashed byte by byte, as
// Samba's conversion would refuse it anyway.
Secret NtHash(const Secret& password);

}  // namespace phoenix::samba

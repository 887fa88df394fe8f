// A private certificate authority for a fleet: makes keys and certificates, nothing else. Keys are ECDSA
// P-256.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

namespace phoenix::cli {

struct KeyAndCertificate {
  std::string key;          // PEM
  std::string certificate;  // PEM
};

enum class CertificateUse {
  kNode,    // serves only: a compromised node cannot call others
  kClient,  // calls only: orchestrators and people
};

absl::StatusOr<KeyAndCertificate> MakeCa(const std::string& name, int days);
// `names`: DNS names or IP addresses that the certificate is for; the first is its common name.
absl::StatusOr<KeyAndCertificate> Issue(const KeyAndCertificate& ca, const std::vector<std::string>& names,
                                        CertificateUse use, int days);

}  // namespace phoenix::cli

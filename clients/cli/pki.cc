#include "clients/cli/pki.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::cli {
namespace {

template <class T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509, X509_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO, BIO_free_all>>;

constexpr int kSerialBits = 127;
// A certificate is valid a little before it was made: clocks of a fleet differ.
constexpr long kClockSlackSeconds = 3600;

absl::Status SslError(std::string_view what) {
  char text[256] = "unknown";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return Internal("{}: {}", what, text);
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return SslError("certificate extension " + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return absl::OkStatus();
}

absl::Status FillCommon(X509* certificate, EVP_PKEY* key, const std::string& common_name, X509_NAME* issuer,
                        int days) {
  X509_set_version(certificate, X509_VERSION_3);
  std::unique_ptr<BIGNUM, Freer<BIGNUM, BN_free>> serial(BN_new());
  if (BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1)
    return SslError("serial number");
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate));
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kClockSlackSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                                 0) != 1) {
    return InvalidArgument("'{}' cannot be a certificate's common name: 1 to 64 characters can", common_name);
  }
  X509_set_issuer_name(certificate, issuer != nullptr ? issuer : subject);
  return absl::OkStatus();
}

absl::StatusOr<KeyAndCertificate> Sign(X509* certificate, EVP_PKEY* key, EVP_PKEY* signer) {
  if (X509_sign(certificate, signer, EVP_sha256()) == 0) return SslError("signing");
  BioPtr key_bio(BIO_new(BIO_s_mem())), certificate_bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_bio.get(), certificate);
  return KeyAndCertificate{Contents(key_bio.get()), Contents(certificate_bio.get())};
}

std::string AlternativeNames(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) {
    in_addr v4{};
    in6_addr v6{};
    const bool address =
        inet_pton(AF_INET, name.c_str(), &v4) == 1 || inet_pton(AF_INET6, name.c_str(), &v6) == 1;
    text += (text.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  return text;
}

}  // namespace

absl::StatusOr<KeyAndCertificate> MakeCa(const std::string& name, int days) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate(X509_new());
  if (!key || !certificate) return SslError("new key");
  PHX_RETURN_IF_ERROR(FillCommon(certificate.get(), key.get(), name, nullptr, days));
  X509* own = certificate.get();
  PHX_RETURN_IF_ERROR(AddExtension(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  PHX_RETURN_IF_ERROR(AddExtension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign"));
  PHX_RETURN_IF_ERROR(AddExtension(own, own, NID_subject_key_identifier, "hash"));
  return Sign(own, key.get(), key.get());
}

absl::StatusOr<KeyAndCertificate> Issue(const KeyAndCertificate& ca, const std::vector<std::string>& names,
                                        CertificateUse use, int days) {
  if (names.empty()) return InvalidArgument("a certificate needs at least one name");
  for (const auto& name : names) {
    const bool plain = !name.empty() && name.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789.-:") == std::string::npos;
    if (!plain) return InvalidArgument("'{}' is neither a DNS name nor an IP address", name);
  }
  const BioPtr key_bio(BIO_new_mem_buf(ca.key.data(), static_cast<int>(ca.key.size())));
  const BioPtr ca_bio(BIO_new_mem_buf(ca.certificate.data(), static_cast<int>(ca.certificate.size())));
  const KeyPtr ca_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  const CertificatePtr ca_certificate(PEM_read_bio_X509(ca_bio.get(), nullptr, nullptr, nullptr));
  if (!ca_key || !ca_certificate) return SslError("the CA's key or certificate cannot be read");
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate(X509_new());
  if (!key || !certificate) return SslError("new key");
  X509* own = certificate.get();
  PHX_RETURN_IF_ERROR(
      FillCommon(own, key.get(), names[0], X509_get_subject_name(ca_certificate.get()), days));
  PHX_RETURN_IF_ERROR(AddExtension(own, ca_certificate.get(), NID_basic_constraints, "critical,CA:FALSE"));
  PHX_RETURN_IF_ERROR(AddExtension(own, ca_certificate.get(), NID_key_usage, "critical,digitalSignature"));
  PHX_RETURN_IF_ERROR(AddExtension(own, ca_certificate.get(), NID_ext_key_usage,
                                   use == CertificateUse::kNode ? "serverAuth" : "clientAuth"));
  PHX_RETURN_IF_ERROR(AddExtension(own, ca_certificate.get(), NID_subject_alt_name, AlternativeNames(names)));
  PHX_RETURN_IF_ERROR(AddExtension(own, ca_certificate.get(), NID_authority_key_identifier, "keyid"));
  return Sign(own, key.get(), ca_key.get());
}

}  // namespace phoenix::cli

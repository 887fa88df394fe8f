// phoenix pki, as it is typed: the files it writes and what OpenSSL says of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "clients/cli/commands/command_line.h"

namespace phoenix::cli {
namespace {

using ::testing::HasSubstr;

struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;

class PkiTest : public ::testing::Test {
 protected:
  PkiTest() {
    char name[] = "/tmp/phoenix-pki-XXXXXX";
    directory_ = ::mkdtemp(name);
    former_mask_ = ::umask(0);  // the modes below are chosen by us, not left by a careful umask
  }
  ~PkiTest() override {
    ::umask(former_mask_);
    std::filesystem::remove_all(directory_);
  }

  int Pki(std::vector<std::string> words) {
    words.insert(words.begin(), {"phoenix", "pki", "--dir", directory_});
    std::vector<const char*> argv;
    argv.reserve(words.size());
    for (const auto& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = RunCommandLine(static_cast<int>(argv.size()), argv.data(), {});
    out_ = ::testing::internal::GetCapturedStdout();
    errors_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  unsigned Mode(const std::string& name) const {
    struct stat status{};
    EXPECT_EQ(::stat(Path(name).c_str(), &status), 0) << name;
    return status.st_mode & 07777;
  }
  Certificate Load(const std::string& name) const {
    const std::string text = Read(name);
    BIO* bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
    Certificate certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
    BIO_free(bio);
    EXPECT_NE(certificate, nullptr) << name;
    return certificate;
  }
  // Whether `name` is good for `purpose` in the eyes of somebody who trusts ca.crt alone.
  bool Verifies(const std::string& name, int purpose) const {
    const Certificate ca = Load("ca.crt"), certificate = Load(name);
    X509_STORE* store = X509_STORE_new();
    X509_STORE_add_cert(store, ca.get());
    X509_STORE_CTX* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store, certificate.get(), nullptr);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
    const bool good = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
  }

  std::string directory_, out_, errors_;
  mode_t former_mask_ = 0;
};

TEST_F(PkiTest, KeysAreForTheirOwnerAlone) {
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  ASSERT_EQ(Pki({"issue", "pve1", "10.0.0.11"}), 0) << errors_;
  for (const char* name : {"ca", "pve1"}) {
    EXPECT_EQ(Mode(std::string(name) + ".key"), 0600U);
    EXPECT_EQ(Mode(std::string(name) + ".crt"), 0644U);
  }
  EXPECT_EQ(out_, Path("pve1.key") + "\n" + Path("pve1.crt") + "\n");
}

TEST_F(PkiTest, NothingIsOverwrittenAndNoHalfPairIsLeft) {
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  ASSERT_EQ(Pki({"issue", "pve1"}), 0) << errors_;
  const std::string key = Read("ca.key"), node_key = Read("pve1.key");
  EXPECT_EQ(Pki({"init"}), 1);
  EXPECT_THAT(errors_, HasSubstr("is there already"));
  EXPECT_EQ(Pki({"issue", "pve1"}), 1);
  EXPECT_EQ(Read("ca.key"), key);
  EXPECT_EQ(Read("pve1.key"), node_key);
  // The CA's key was taken off this machine, as it should be: a new key beside the old certificate fits
  // nothing.
  std::filesystem::remove(Path("ca.key"));
  EXPECT_EQ(Pki({"init"}), 1);
  EXPECT_FALSE(std::filesystem::exists(Path("ca.key")));
}

TEST_F(PkiTest, TheCaSignsCertificatesAndNothingElse) {
  ASSERT_EQ(Pki({"init", "--name", "Lab CA"}), 0) << errors_;
  const Certificate ca = Load("ca.crt");
  const auto flags = X509_get_extension_flags(ca.get());
  EXPECT_TRUE((flags & EXFLAG_CA) != 0);
  EXPECT_TRUE((flags & EXFLAG_CRITICAL) == 0) << "no critical extension that nobody knows";
  EXPECT_EQ(X509_get_pathlen(ca.get()), 0) << "it makes no further CAs";
  EXPECT_EQ(X509_get_key_usage(ca.get()), static_cast<uint32_t>(KU_KEY_CERT_SIGN | KU_CRL_SIGN));
  for (const int nid : {NID_basic_constraints, NID_key_usage}) {
    const int at = X509_get_ext_by_NID(ca.get(), nid, -1);
    ASSERT_GE(at, 0);
    EXPECT_EQ(X509_EXTENSION_get_critical(X509_get_ext(ca.get(), at)), 1);
  }
}

TEST_F(PkiTest, ANodesCertificateCanServeOnly) {
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  ASSERT_EQ(Pki({"issue", "pve1", "10.0.0.11", "fd00::11", "pve1.example"}), 0) << errors_;
  const Certificate node = Load("pve1.crt");
  EXPECT_EQ(X509_get_extended_key_usage(node.get()), static_cast<uint32_t>(XKU_SSL_SERVER));
  EXPECT_FALSE((X509_get_extension_flags(node.get()) & EXFLAG_CA) != 0);
  EXPECT_TRUE(Verifies("pve1.crt", X509_PURPOSE_SSL_SERVER));
  EXPECT_FALSE(Verifies("pve1.crt", X509_PURPOSE_SSL_CLIENT));
  EXPECT_EQ(X509_check_host(node.get(), "pve1", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(node.get(), "pve1.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(node.get(), "pve2", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(node.get(), "10.0.0.11", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(node.get(), "fd00::11", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(node.get(), "10.0.0.12", 0), 0);
  EXPECT_EQ(X509_check_host(node.get(), "10.0.0.11", 0, 0, nullptr), 0) << "an address is no DNS name";
}

TEST_F(PkiTest, AClientsCertificateCanCallOnly) {
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  ASSERT_EQ(Pki({"issue", "--client", "orchestrator", "--file", "orch"}), 0) << errors_;
  EXPECT_EQ(X509_get_extended_key_usage(Load("orch.crt").get()), static_cast<uint32_t>(XKU_SSL_CLIENT));
  EXPECT_TRUE(Verifies("orch.crt", X509_PURPOSE_SSL_CLIENT));
  EXPECT_FALSE(Verifies("orch.crt", X509_PURPOSE_SSL_SERVER));
}

TEST_F(PkiTest, NoCertificateOfAnotherCaVerifies) {
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  ASSERT_EQ(Pki({"issue", "pve1"}), 0) << errors_;
  for (const char* name : {"ca.key", "ca.crt"}) std::filesystem::remove(Path(name));
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  EXPECT_FALSE(Verifies("pve1.crt", X509_PURPOSE_SSL_SERVER));
}

TEST_F(PkiTest, WhatCannotBeACertificateIsRefusedAndWritesNothing) {
  EXPECT_EQ(Pki({"issue", "pve1"}), 1) << "there is no CA yet";
  EXPECT_THAT(errors_, HasSubstr("phoenix pki init"));
  ASSERT_EQ(Pki({"init"}), 0) << errors_;
  for (const std::vector<std::string>& words : {std::vector<std::string>{"issue", "pve 1"},
                                                {"issue", "../pve1"},
                                                {"issue", "pve1,DNS:pve2"},
                                                {"issue", std::string(65, 'a')},
                                                {"issue", "pve1", "--days", "0"},
                                                {"issue"}}) {
    EXPECT_EQ(Pki(words), 1) << ::testing::PrintToString(words);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 2) << "ca.key and ca.crt";
}

}  // namespace
}  // namespace phoenix::cli

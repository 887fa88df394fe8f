#include "services/proxmox/host/api_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/status/errors.h"

namespace phoenix::proxmox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kUuid[] = "01234567-89ab-cdef-0123-456789abcdef";

// Only reading matters here.
class OneFile final : public Files {
 public:
  explicit OneFile(std::optional<FileState> file) : file_(std::move(file)) {}
  absl::StatusOr<std::optional<FileState>> Read(const std::string&) const override { return file_; }
  absl::Status Replace(const std::string&, const FileState&) override { return absl::OkStatus(); }
  absl::Status Remove(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::optional<DirectoryState>> ReadDirectory(const std::string&) const override {
    return std::optional<DirectoryState>();
  }
  absl::Status MakeDirectory(const std::string&, const DirectoryState&) override { return absl::OkStatus(); }
  absl::Status SetDirectory(const std::string&, const DirectoryState&) override { return absl::OkStatus(); }
  absl::Status RemoveDirectory(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> List(const std::string&) const override {
    return std::vector<std::string>();
  }

 private:
  std::optional<FileState> file_;
};

absl::StatusOr<std::optional<ApiToken>> Read(const std::string& content, uint32_t mode = 0600,
                                             uint32_t owner = 0) {
  return ReadToken(OneFile(FileState{content, owner, 0, mode}), kTokenPath, 0);
}

std::string TokenText() { return std::string("root@pam!phoenix=") + kUuid; }

TEST(ApiToken, IsOneLineWithIdAndValue) {
  for (const char* end : {"", "\n", "\r\n", " \n"}) {
    const auto token = Read(TokenText() + end);
    ASSERT_TRUE(token.ok()) << token.status();
    ASSERT_TRUE(*token);
    EXPECT_EQ((*token)->id, "root@pam!phoenix");
    EXPECT_EQ((*token)->value.Reveal(), TokenText());
  }
}

TEST(ApiToken, NoFileIsNoToken) {
  const auto token = ReadToken(OneFile(std::nullopt), kTokenPath, 0);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_FALSE(*token);
}

TEST(ApiToken, AFileThatOthersCanReadIsRefused) {
  for (const uint32_t mode : {0640U, 0604U, 0644U, 0620U, 0601U}) {
    const auto token = Read(TokenText(), mode);
    EXPECT_EQ(token.status().code(), absl::StatusCode::kFailedPrecondition) << mode;
    EXPECT_THAT(Message(token.status()), HasSubstr("chmod 600 /etc/phoenix/pve-token"));
    EXPECT_THAT(Message(token.status()), Not(HasSubstr(kUuid)));
    EXPECT_EQ(ReasonOf(token.status())->reason, kNodeApiToken);
  }
  EXPECT_TRUE(Read(TokenText(), 0400).ok());
}

TEST(ApiToken, AFileOfSomebodyElseIsRefused) {
  const auto token = Read(TokenText(), 0600, 1000);
  EXPECT_EQ(token.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(token.status()), HasSubstr("belongs to user 1000"));
}

TEST(ApiToken, WhatIsNoTokenIsRefusedWithoutQuotingIt) {
  const std::string uuid = kUuid;
  for (const std::string& text : {
           std::string(),
           std::string("\n"),
           uuid,
           "root@pam=" + uuid,
           "root!phoenix=" + uuid,
           "root@pam!=" + uuid,
           "@pam!phoenix=" + uuid,
           "root@!phoenix=" + uuid,
           "root@pam!phoenix=" + uuid + "0",
           "root@pam!phoenix=" + uuid.substr(1),
           "root@pam!phoenix=" + uuid + "\nX-Header: 1",
           "root@pam!pho\nX-Header: 1=" + uuid,
           "PVEAPIToken: root@pam!phoenix=" + uuid,
           std::string("{\"value\":\"") + uuid + "\"}",
       }) {
    const auto token = Read(text);
    EXPECT_EQ(token.status().code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_THAT(Message(token.status()), HasSubstr("holds no API token"));
    // The example in the error is this very value, so another one is looked for.
  }
  const auto token = Read("root@pam!phoenix=ffffffff");
  EXPECT_THAT(Message(token.status()), Not(HasSubstr("ffffffff")));
}

}  // namespace
}  // namespace phoenix::proxmox

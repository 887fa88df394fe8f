// Encryption roots and their keys, as every ZfsHost shows them. For nodes as ZfsHostContract has them.
#pragma once

#include <string>
#include <vector>

#include "tests/contract/zfs_host_contract.h"

namespace phoenix::zfs {

template <class Node>
class ZfsKeyContract : public ZfsHostContract<Node> {
 protected:
  static constexpr char kKey[] = "correct horse battery";
  static constexpr char kWrong[] = "wrong horse battery";
  // 32 bytes that end and interrupt a line.
  static std::string RawKey() { return std::string("\n\0 raw\r\n", 8) + std::string(23, '\xfe') + "\n"; }

  NewKey Passphrase() { return {"aes-256-gcm", "passphrase", Secret(kKey)}; }
  void MakeRoot(const std::string& below, const NewKey& key) {
    this->Must(CreateDataset{this->Name(below), 0, {{std::string(kRunMark), this->kRun}}, key});
  }
  std::string Status(const std::string& below) { return this->Dataset(this->Name(below)).Value("keystatus"); }
  bool Fits(const std::string& below, const std::string& format, const std::string& key) {
    ObserveRequest request;
    request.keys[this->Name(below)] = {format, Secret(key)};
    const ZfsState state = this->See(request);
    EXPECT_EQ(state.keys_fit.count(this->Name(below)), 1u);
    return state.keys_fit.count(this->Name(below)) != 0 && state.keys_fit.at(this->Name(below));
  }
  void Lock(const std::string& below) {
    this->Must(UnmountDataset{this->Name(below)});
    this->Must(UnloadKey{this->Name(below)});
    EXPECT_EQ(Status(below), "unavailable");
  }
};

TYPED_TEST_SUITE_P(ZfsKeyContract);

TYPED_TEST_P(ZfsKeyContract, ARootTellsHowItIsEncryptedAndAnotherDatasetThatItIsNot) {
  this->MakePool();
  EXPECT_EQ(this->Property(this->kPool, "encryption").value, "off");
  this->MakeRoot("a", this->Passphrase());
  const DatasetState root = this->Dataset(this->Name("a"));
  EXPECT_EQ(root.Value("encryption"), "aes-256-gcm");
  EXPECT_EQ(root.Value("keyformat"), "passphrase");
  EXPECT_EQ(root.Value("keylocation"), "prompt");
  EXPECT_EQ(root.Value("encryptionroot"), this->Name("a"));
  EXPECT_EQ(root.Value("keystatus"), "available");
  EXPECT_EQ(root.LocalValue(kRunMark), this->kRun) << "the mark comes with the same command";
  EXPECT_EQ(root.mounted_at, this->Path("a"));
}

TYPED_TEST_P(ZfsKeyContract, AChildInheritsTheKeyAndIsLockedWithIt) {
  this->MakePool();
  this->MakeRoot("a", this->Passphrase());
  this->Must(CreateDataset{this->Name("a/b"), 0, {}});
  this->Must(CreateDataset{this->Name("a/v"), uint64_t{8} << 20, {}});
  EXPECT_EQ(this->Dataset(this->Name("a/b")).Value("encryptionroot"), this->Name("a"));
  EXPECT_EQ(this->Dataset(this->Name("a/v")).Value("encryptionroot"), this->Name("a"));
  this->Lock("a");
  EXPECT_EQ(this->Status("a/b"), "unavailable");
  EXPECT_EQ(this->Dataset(this->Name("a/b")).mounted_at, "");
  EXPECT_FALSE(this->Try(MountDataset{this->Name("a/b")}).ok());
  EXPECT_FALSE(this->Try(CreateDataset{this->Name("a/c"), 0, {}}).ok());
  EXPECT_FALSE(this->Has(this->Name("a/c")));
}

TYPED_TEST_P(ZfsKeyContract, AKeyThatIsUnloadedIsLoadedAgain) {
  this->MakePool();
  this->MakeRoot("a", this->Passphrase());
  this->node_->WriteFile(this->Path("a/letter"));
  EXPECT_FALSE(this->Try(UnloadKey{this->Name("a")}).ok()) << "it is mounted";
  this->Lock("a");
  EXPECT_FALSE(this->Try(UnloadKey{this->Name("a")}).ok()) << "it is unloaded";
  EXPECT_FALSE(this->Try(LoadKey{this->Name("a"), "passphrase", Secret(this->kWrong)}).ok());
  EXPECT_EQ(this->Status("a"), "unavailable");
  this->Must(LoadKey{this->Name("a"), "passphrase", Secret(this->kKey)});
  EXPECT_EQ(this->Status("a"), "available");
  EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, "") << "loading mounts nothing";
  EXPECT_FALSE(this->Try(LoadKey{this->Name("a"), "passphrase", Secret(this->kKey)}).ok()) << "it is loaded";
  this->Must(MountDataset{this->Name("a")});
  EXPECT_TRUE(this->node_->Exists(this->Path("a/letter")));
}

TYPED_TEST_P(ZfsKeyContract, RawAndHexKeysAreTakenAsTheyAre) {
  this->MakePool();
  const std::string digits(64, 'b');
  this->MakeRoot("raw", {"aes-256-gcm", "raw", Secret(this->RawKey())});
  this->MakeRoot("digits", {"aes-256-ccm", "raw", Secret(digits)});
  this->MakeRoot("hex", {"aes-128-gcm", "hex", Secret(digits)});
  this->Must(CreateDataset{
      this->Name("volume"), uint64_t{8} << 20, {}, NewKey{"aes-192-gcm", "raw", Secret(this->RawKey())}});
  EXPECT_TRUE(this->Fits("raw", "raw", this->RawKey()));
  EXPECT_FALSE(this->Fits("raw", "raw", digits));
  EXPECT_TRUE(this->Fits("digits", "raw", digits));
  EXPECT_TRUE(this->Fits("digits", "raw", std::string(32, '\xbb')));
  EXPECT_TRUE(this->Fits("hex", "hex", digits));
  EXPECT_TRUE(this->Fits("volume", "raw", this->RawKey()));
  EXPECT_EQ(this->Dataset(this->Name("hex")).Value("encryption"), "aes-128-gcm");
  EXPECT_EQ(this->Dataset(this->Name("raw")).Value("keyformat"), "raw");
  this->Lock("raw");
  this->Must(LoadKey{this->Name("raw"), "raw", Secret(this->RawKey())});
  EXPECT_EQ(this->Status("raw"), "available");
}

TYPED_TEST_P(ZfsKeyContract, ATryChangesNothing) {
  this->MakePool();
  this->MakeRoot("a", this->Passphrase());
  for (const bool locked : {false, true}) {
    if (locked) this->Lock("a");
    const std::string before = this->Status("a"), written = this->Written(this->Name("a"));
    EXPECT_TRUE(this->Fits("a", "passphrase", this->kKey));
    EXPECT_FALSE(this->Fits("a", "passphrase", this->kWrong));
    EXPECT_EQ(this->Status("a"), before);
    EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at.empty(), locked);
    EXPECT_EQ(this->Written(this->Name("a")), written);
  }
}

TYPED_TEST_P(ZfsKeyContract, AWholePoolIsEncryptedAndLockedByAnExport) {
  this->Must(CreatePool{this->kPool,
                        {{"disk", {this->Disk(0)}}},
                        {},
                        {{std::string(kRunMark), this->kRun}},
                        false,
                        this->Passphrase()});
  this->Must(CreateDataset{this->Name("a"), 0, {}});
  EXPECT_EQ(this->Dataset(this->Name("a")).Value("encryptionroot"), this->kPool);
  ObserveRequest request;
  request.pools = true;
  const uint64_t guid = this->See(request).pools.at(this->kPool).guid;
  this->Must(ExportPool{this->kPool});
  this->Must(ImportPool{this->kPool, guid});
  EXPECT_EQ(this->Dataset(this->kPool).Value("keystatus"), "unavailable");
  EXPECT_EQ(this->Dataset(this->Name("a")).mounted_at, "");
  this->Must(LoadKey{this->kPool, "passphrase", Secret(this->kKey)});
  this->Must(MountDataset{this->kPool});
  this->Must(MountDataset{this->Name("a")});
}

// What undo does needs no key but for mounts.
TYPED_TEST_P(ZfsKeyContract, WithoutItsKeyItIsSnapshotRolledBackSetRenamedAndDestroyed) {
  this->MakePool();
  this->MakeRoot("a", this->Passphrase());
  this->Must(CreateSnapshot{this->Name("a@s"), {}});
  this->node_->WriteFile(this->Path("a/letter"));
  this->Must(CreateDataset{this->Name("a/b"), 0, {}});
  this->Lock("a");
  this->Must(CreateSnapshots{{this->Name("a/b@t")}, {{std::string(kRunMark), this->kRun}}});
  this->Must(SetProperties{this->Name("a"), {{"quota", "64M"}}});
  this->Must(RollbackDataset{this->Name("a"), "s", INT64_MAX});
  EXPECT_FALSE(this->Try(RenameDataset{this->Name("a/b"), this->Name("b")}).ok())
      << "what inherits a key cannot leave it";
  this->Must(RenameDataset{this->Name("a"), this->Name("c")});
  EXPECT_EQ(this->Dataset(this->Name("c/b")).Value("encryptionroot"), this->Name("c"));
  this->Must(LoadKey{this->Name("c"), "passphrase", Secret(this->kKey)});
  this->Must(MountDataset{this->Name("c")});
  EXPECT_FALSE(this->node_->Exists(this->Path("c/letter")));
  this->Lock("c");
  this->Must(DestroySnapshot{this->Name("c/b@t")});
  this->Must(DestroyDataset{this->Name("c/b")});
}

REGISTER_TYPED_TEST_SUITE_P(ZfsKeyContract, ARootTellsHowItIsEncryptedAndAnotherDatasetThatItIsNot,
                            AChildInheritsTheKeyAndIsLockedWithIt, AKeyThatIsUnloadedIsLoadedAgain,
                            RawAndHexKeysAreTakenAsTheyAre, ATryChangesNothing,
                            AWholePoolIsEncryptedAndLockedByAnExport,
                            WithoutItsKeyItIsSnapshotRolledBackSetRenamedAndDestroyed);

}  // namespace phoenix::zfs

#include "services/proxmox/domain/storage_entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/proxmox/domain/storage_schema.h"

namespace phoenix::proxmox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

StorageEntry Backups() {
  return {"backups", "dir", {"backup"}, {"pve1"}, false, {{"path", "/srv/b"}, {"is_mountpoint", "1"}}, false};
}

TEST(StorageSchema, IdsAsProxmoxTakesThem) {
  for (const char* id : {"ab", "quickOS-vm-disks", "a.b_c-1", "Y1"}) EXPECT_TRUE(IsStorageId(id)) << id;
  for (const char* id : {"a", "1abc", "ab-", "a b", "", "äb", "a/b", "-ab"})
    EXPECT_FALSE(IsStorageId(id)) << id;
}

TEST(StorageSchema, DirectoryPathsAsProxmoxTakesThem) {
  for (const char* path : {"/srv/b", "/fastData/shared-backups", "/a_b.c@d"})
    EXPECT_TRUE(IsDirectoryPath(path)) << path;
  for (const char* path : {"srv", "/a b", "/a:b", "/ä", "/", ""}) EXPECT_FALSE(IsDirectoryPath(path)) << path;
}

TEST(StorageSchema, EqualValuesHaveOneForm) {
  const TypeRule& dir = *FindType("dir");
  const auto normal = [&](std::string_view option, std::string_view value) {
    return NormalValue(*FindOption(dir, option), value, "/srv/b");
  };
  EXPECT_EQ(normal("shared", "Yes"), "1");
  EXPECT_EQ(normal("path", "/srv//b/"), "/srv/b");
  EXPECT_EQ(normal("is_mountpoint", "/srv/b/"), "1");
  EXPECT_EQ(normal("is_mountpoint", "/srv"), "/srv");
  EXPECT_EQ(normal("is_mountpoint", "off"), "0");
  EXPECT_EQ(normal("prune-backups", "keep-weekly=2,keep-last=3"), "keep-last=3,keep-weekly=2");
}

TEST(Compare, LooksOnlyAtWhatIsNamed) {
  EXPECT_THAT(Compare(Backups(), {"dir", std::nullopt, {}}), IsEmpty());
  EXPECT_THAT(Compare(Backups(), {"dir", Words{"backup"}, {{"path", "/srv/b"}, {"shared", "0"}}}), IsEmpty());
}

TEST(Compare, TellsFixedFieldsFromFreeOnes) {
  EXPECT_THAT(Compare(Backups(), {"dir", Words{"iso"}, {{"path", "/srv/c"}, {"shared", "1"}}}),
              ElementsAre(Difference{"path", "/srv/b", "/srv/c", true}, Difference{"shared", "", "1", false},
                          Difference{"content", "backup", "iso", false}));
  EXPECT_THAT(Compare(Backups(), {"zfspool", Words{"iso"}, {}}),
              ElementsAre(Difference{"type", "dir", "zfspool", true}));
}

TEST(Compare, AnUnnamedNetworkPathIsTheDefaultOne) {
  const StorageEntry media{"media", "nfs", {"iso"}, {}, false, {{"server", "s"}, {"export", "/e"}}, false};
  EXPECT_THAT(Compare(media, {"nfs", std::nullopt, {{"path", "/mnt/pve/media"}}}), IsEmpty());
}

TEST(ForeignOptions, LeavesOutWhatTheToolNotesByItself) {
  const StorageEntry vm{"vm", "zfspool", {"images"},
                        {},   false,     {{"pool", "tank"}, {"mountpoint", "/tank"}, {"sparse", "0"}},
                        false};
  EXPECT_THAT(ForeignOptions(vm, {"zfspool", std::nullopt, {{"pool", "tank"}}}), IsEmpty());
  StorageEntry changed = vm;
  changed.options["blocksize"] = "16k";
  changed.disabled = true;
  EXPECT_THAT(ForeignOptions(changed, {"zfspool", std::nullopt, {{"pool", "tank"}}}),
              ElementsAre("blocksize", "disable"));
}

TEST(FoldersOf, NamesParentsFirstAndKnowsOverrides) {
  EXPECT_THAT(FoldersOf("b", {"dir", Words{"iso", "backup"}, {{"path", "/srv/b"}}}),
              ElementsAre("/srv", "/srv/b", "/srv/b/dump", "/srv/b/template", "/srv/b/template/iso"));
  EXPECT_THAT(FoldersOf("b", {"dir", Words{"backup"}, {{"path", "/b"}, {"content-dirs", "backup=x/y"}}}),
              ElementsAre("/b", "/b/x", "/b/x/y"));
  // Containers bring the folder for their dumps along, and without a content line the default counts.
  EXPECT_THAT(FoldersOf("b", {"dir", std::nullopt, {{"path", "/b"}}}),
              ElementsAre("/b", "/b/dump", "/b/images", "/b/private"));
  EXPECT_THAT(FoldersOf("n1", {"nfs", Words{"iso"}, {}}), ElementsAre("/mnt", "/mnt/pve", "/mnt/pve/n1"));
  EXPECT_THAT(FoldersOf("z1", {"zfspool", Words{"images"}, {{"pool", "tank"}}}), IsEmpty());
}

TEST(CanonicalText, IsEqualForEqualMeaning) {
  StorageEntry other = Backups();
  other.options["shared"] = "0";
  EXPECT_EQ(CanonicalText(other), CanonicalText(Backups()));
  other.options["shared"] = "1";
  EXPECT_NE(CanonicalText(other), CanonicalText(Backups()));
}

TEST(PathsWritten, AreThoseThatGetANewFolder) {
  const Definition dir = Normal({"dir", Words{"backup", "iso", "vztmpl"}, {{"path", "/b/c"}}});
  const auto written = [&](Words present, Definition of) { return PathsWritten(of, present); };
  EXPECT_THAT(written({"/b", "/b/c"}, dir), ElementsAre("/b/c")) << "template is new, and all in it";
  EXPECT_THAT(written({}, dir), ElementsAre("/b/c")) << "whatever makes /b/c: the folders go into it";
  EXPECT_THAT(written({"/b", "/b/c", "/b/c/dump", "/b/c/template", "/b/c/template/iso"}, dir),
              ElementsAre("/b/c/template"));
  EXPECT_THAT(written({"/b", "/b/c", "/b/c/template", "/b/c/template/iso"}, dir),
              ElementsAre("/b/c", "/b/c/template"));
  const Words all = {"/b", "/b/c", "/b/c/dump", "/b/c/template", "/b/c/template/iso", "/b/c/template/cache"};
  EXPECT_THAT(written(all, dir), IsEmpty());

  Definition other = dir;
  other.options["content-dirs"] = "iso=deep/iso";
  EXPECT_THAT(written(all, other), ElementsAre("/b/c"));
  other = dir;
  other.options["create-subdirs"] = "0";
  EXPECT_THAT(written({"/b", "/b/c"}, other), IsEmpty());
  EXPECT_THAT(written({"/b"}, other), ElementsAre("/b/c"));
  other.options["create-base-path"] = "0";
  EXPECT_THAT(written({"/b"}, other), IsEmpty());
  other = dir;
  other.options["mkdir"] = "0";
  EXPECT_THAT(written({}, other), IsEmpty());
  EXPECT_THAT(written({}, Normal({"nfs", Words{"iso"}, {{"server", "s"}, {"export", "/e"}}})), IsEmpty());
  EXPECT_THAT(written({}, Normal({"zfspool", Words{"images"}, {{"pool", "tank"}}})), IsEmpty());
}

}  // namespace
}  // namespace phoenix::proxmox

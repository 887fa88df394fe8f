// What nfs.conf and the machine's nfs-utils say of the server counts as its own programs read it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/status/errors.h"
#include "services/nfs/domain/export_match.h"
#include "services/nfs/worker/nfs_fixture.h"

namespace phoenix::nfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(NfsDomainTest, VerifyAsksAnAddressTheServerListensOn) {
  Ready();
  Put("nfs.address", "10.0.0.11", {});
  Put("nfs.address", "10.0.0.12", {});
  Write("/etc/nfs.conf", "[nfsd]\nvers3=n\nhost=10.0.0.12, nas.lan\n");
  spec_.exports = {Wanted("/quickOS/a", "rw"), Wanted("/quickOS/b", "rw", {"10.0.0.11", "127.0.0.1"})};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  const auto report = Verify(driver);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, ElementsAre("/quickOS/a: NFSv4 mount from 10.0.0.12, root may read"));
  EXPECT_THAT(report->not_probed, ElementsAre(AllOf(HasSubstr("/quickOS/b: not probed by a mount: "),
                                                    HasSubstr("10.0.0.12, nas.lan"))));
}

TEST_F(NfsDomainTest, AnotherPortOfTheServerIsOpenedTriedAndTold) {
  Ready();
  Put("nfs.address", "10.0.0.11", {});
  Write("/etc/nfs.conf", "[nfsd]\nvers3=n\nport=2050\n");
  spec_.exports = {Wanted("/quickOS/a", "rw")};
  MountSeed();
  StepDriver driver(*domain_);
  Commit(driver);
  EXPECT_THAT(Ids(driver), ::testing::Contains("rule:10.0.0.0/24:2050/tcp"));
  EXPECT_THAT(Ids(driver), ::testing::Not(::testing::Contains("rule:10.0.0.0/24:2049/tcp")));
  EXPECT_TRUE(std::any_of(driver.plan().notes.begin(), driver.plan().notes.end(), [](const kit::Note& note) {
    return note.warning && note.text.find("must mount with port=2050") != std::string::npos;
  }));
  const auto report = Verify(driver);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->probes, SizeIs(1));
}

// NFSv3 was served, by Phoenix's reading, and the advice was what stood there already.
TEST_F(NfsDomainTest, ACommentBehindASettingIsNoPartOfIt) {
  Ready();
  spec_.exports = {Wanted("/quickOS/a")};
  MountSeed();
  Put("unit", "rpcbind.socket",
      {{"package", "rpcbind"}, {"enablement", "enabled"}, {"active", false}, {"masked", true}});
  Write("/etc/nfs.conf", "[nfsd]\nvers3=n   # NFSv4 only\n");
  StepDriver driver(*domain_);
  const absl::Status prepared = driver.Prepare({}, kRun);
  EXPECT_TRUE(prepared.ok()) << prepared;
}

TEST_F(NfsDomainTest, FilesOfNfsConfAreReadInTheOrderOfNfsUtils) {
  Ready();
  for (const char* folder :
       {"/usr", "/usr/etc", "/usr/etc/nfs.conf.d", "/etc/nfs.conf.d", "/etc/nfs.conf.d/folder.conf"}) {
    ASSERT_TRUE(files_->MakeDirectory(folder, {}).ok());
  }
  const auto mountd_port = [&] { return host_->Observe({})->v3.mountd_port; };
  Write("/usr/etc/nfs.conf", "[mountd]\nport=1\n");
  EXPECT_EQ(mountd_port(), 1);
  Write("/usr/etc/nfs.conf.d/a.conf", "[mountd]\nport=2\n[statd]\nport=7\n");
  EXPECT_EQ(mountd_port(), 2);
  Write("/etc/nfs.conf.d/9.conf", "[mountd]\nport=3 # for ufw\n");
  EXPECT_EQ(mountd_port(), 3);
  EXPECT_EQ(host_->Observe({})->v3.statd_port, 7);
  // Not by the letters of its name.
  Write("/etc/nfs.conf.d/10.conf", "[mountd]\nport=4\n");
  EXPECT_EQ(mountd_port(), 4);
  // Without an end the line does not count.
  Write("/etc/nfs.conf.d/11.conf", "[mountd]\nport=5");
  EXPECT_EQ(mountd_port(), 4);
  // The main file has the vendor's forgotten, not what comes after it.
  Write("/etc/nfs.conf", "[mountd]\nport=6\ninclude=nfs-local.conf\n");
  EXPECT_EQ(mountd_port(), 4);
  EXPECT_EQ(host_->Observe({})->v3.statd_port, 0);
  Write("/etc/nfs-local.conf", "[statd]\nport=8\n");
  EXPECT_EQ(host_->Observe({})->v3.statd_port, 8);
}

TEST_F(NfsDomainTest, AMovedStateDirectoryIsFoundInNfsConf) {
  Ready();
  spec_.exports = {Wanted("/quickOS/a")};
  MountSeed();
  StepDriver driver(*domain_);
  for (const char* section : {"mountd", "exportd"}) {
    Write("/etc/nfs.conf", fmt::format("[{}]\nstate-directory-path=/srv/state\n", section));
    EXPECT_THAT(Message(driver.Prepare({}, kRun)), HasSubstr("state-directory-path=/srv/state")) << section;
    Write("/etc/nfs.conf", fmt::format("[{}]\nstate-directory-path=/var/lib/nfs/\n", section));
    EXPECT_TRUE(driver.Prepare({}, kRun).ok()) << section;
  }
}

TEST_F(NfsDomainTest, APathThroughALinkIsRefusedBeforeAnythingIsDone) {
  Ready();
  MountZfs("/quickOS/a");
  Put("nfs.link", "/srv/link", {{"target", "/quickOS"}});
  const std::string before = Dump();
  StepDriver driver(*domain_, {"path:/srv/link/a", "path:/srv/link/new"});
  // Also of a path that is still to come.
  for (const char* path : {"/srv/link/a", "/srv/link/new"}) {
    spec_.exports = {Wanted(path)};
    EXPECT_THAT(Message(driver.Prepare({}, kRun)), HasSubstr("leads through a symbolic link to /quickOS/"))
        << path;
  }
  EXPECT_EQ(Dump(), before);
}

// nfs-utils 2.6.2 drops a line with an option of later versions, and all that follow.
TEST_F(NfsDomainTest, OptionsThatThisExportfsDoesNotKnowAreNoExports) {
  Ready();
  Write("/etc/exports.d/other.exports", "/srv/tls *(ro,xprtsec=tls)\n/srv/late *(ro)\n");
  Put("nfs.utils", "2.6.2", {});
  ASSERT_TRUE(host_->RunExportfs().ok());
  NfsState state = host_->Observe({}).value();
  EXPECT_THAT(state.live, IsEmpty());
  EXPECT_THAT(Pending(state), IsEmpty());
  ASSERT_TRUE(machine_->Change([](kit::World& world) { return world.Delete("nfs.utils", "2.6.2"); }).ok());
  ASSERT_TRUE(host_->RunExportfs().ok());
  state = host_->Observe({}).value();
  EXPECT_THAT(state.live, SizeIs(2));
  EXPECT_THAT(ByHand(state), IsEmpty());
}

}  // namespace
}  // namespace phoenix::nfs

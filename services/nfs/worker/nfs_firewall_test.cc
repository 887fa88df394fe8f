// What a firewall keeps out of the exports, although they are served: it is said, with what to do.
#include <algorithm>

#include "services/nfs/worker/nfs_fixture.h"

namespace phoenix::nfs {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NfsFirewallTest : public NfsDomainTest {
 protected:
  NfsFirewallTest() {
    Ready();
    MountZfs("/quickOS/data");
    Write("/etc/nfs.conf", "[nfsd]\nvers3=n\n");
  }
  // The warnings about the firewall in the plan for these clients.
  std::vector<std::string> Warnings(const std::vector<std::string>& clients) {
    spec_.exports = {Wanted("/quickOS/data", "rw", clients)};
    const auto plan = domain_->MakePlan({});
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::vector<std::string> texts;
    for (const kit::Note& note : plan->notes) {
      if (note.warning && note.resource == "firewall") texts.push_back(note.text);
    }
    return texts;
  }
  void SwitchUfwOff() {
    Put("ufw", "state", {{"active", false}, {"enabled", false}});
    ASSERT_TRUE(files_->Replace("/etc/ufw/ufw.conf", {"ENABLED=no\n", 0, 0, 0644}).ok());
  }
};

TEST_F(NfsFirewallTest, ClientsThatNoRuleCanNameAreNamed) {
  EXPECT_THAT(Warnings({"10.0.0.0/24"}), IsEmpty());
  EXPECT_THAT(
      Warnings({"media.lan", "@farm", "*.example.org", "10.0.0.0/24"}),
      ElementsAre(HasSubstr("nfs: the client *.example.org is let in by the export, but not through ufw"),
                  HasSubstr("@farm"), AllOf(HasSubstr("media.lan"), HasSubstr("declare its addresses"))));
  // Also where nobody else is left, and no rule is planned at all.
  EXPECT_THAT(Warnings({"media.lan"}), ElementsAre(HasSubstr("media.lan")));
  // Who opened the port by hand took care of them.
  ASSERT_TRUE(node_->AllowRule(node::Firewall::kUfw, {"10.0.0.7", "2049", "tcp"}, "for media", nullptr).ok());
  EXPECT_THAT(Warnings({"media.lan"}), IsEmpty());
  SwitchUfwOff();
  EXPECT_THAT(Warnings({"media.lan", "@farm"}), IsEmpty());
}

// mountd takes another port at every start unless it is told one, which is Debian's default.
TEST_F(NfsFirewallTest, Nfs3IsShutOutWhereMountdsPortIsNotPinned) {
  Write("/etc/nfs.conf", "[nfsd]\n");
  EXPECT_THAT(Warnings({"10.0.0.0/24"}),
              ElementsAre(AllOf(HasSubstr("NFSv3 and `showmount` do not"), HasSubstr("pin [mountd] port"),
                                HasSubstr("vers=4"), HasSubstr("vers3=n"))));
  EXPECT_THAT(Warnings({"127.0.0.1"}), IsEmpty()) << "the node itself passes";
  Write("/etc/nfs.conf", "[nfsd]\nvers3=n\n");
  EXPECT_THAT(Warnings({"10.0.0.0/24"}), IsEmpty());
  Write("/etc/nfs.conf", "[mountd]\nport=32767\n[statd]\nport=32765\n[lockd]\nport=32803\nudp-port=32769\n");
  EXPECT_THAT(Warnings({"10.0.0.0/24"}), IsEmpty());
  Write("/etc/nfs.conf", "[nfsd]\n");
  SwitchUfwOff();
  EXPECT_THAT(Warnings({"10.0.0.0/24"}), IsEmpty());
}

// statd takes the one port for both protocols, whichever file says it.
TEST_F(NfsFirewallTest, LockdsUdpPortIsItsTcpPortUnlessSaid) {
  ASSERT_TRUE(files_->MakeDirectory("/etc/nfs.conf.d", {}).ok());
  Write("/etc/nfs.conf", "[mountd]\nport=32767\n[statd]\nport=32765\n[lockd]\nport=1\n");
  Write("/etc/nfs.conf.d/locks.conf", "[lockd]\nport=32803\n");
  EXPECT_THAT(Warnings({"10.0.0.0/24"}), IsEmpty());
  const auto plan = domain_->MakePlan({});
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> ids;
  for (const kit::Step& step : plan->steps) ids.push_back(step.id);
  EXPECT_THAT(ids, ::testing::IsSupersetOf({"rule:10.0.0.0/24:32803/tcp", "rule:10.0.0.0/24:32803/udp"}));
  Write("/etc/nfs.conf", "[lockd]\nudp-port=32769\n");
  EXPECT_EQ(host_->Observe({})->v3.lockd_udp_port, 32769);
  EXPECT_EQ(host_->Observe({})->v3.lockd_tcp_port, 32803);
}

}  // namespace
}  // namespace phoenix::nfs

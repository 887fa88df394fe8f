#include "services/samba/domain/smb_conf.h"

#include <gtest/gtest.h>

#include "services/samba/domain/nt_hash.h"

namespace phoenix::samba {
namespace {

constexpr char kPath[] = "/etc/samba/phoenix.conf";

TEST(Canonical, KnowsSynonymsAndTheirOpposites) {
  const auto is = [](const char* name, const char* value, const Parameter& expected) {
    const auto canonical = Canonical(name, value);
    return canonical.has_value() && *canonical == expected;
  };
  EXPECT_TRUE(is("browsable", "no", {"browseable", "No"}));
  EXPECT_TRUE(is("Browse Able", "TRUE", {"browseable", "Yes"}));
  EXPECT_TRUE(is("public", "1", {"guest ok", "Yes"}));
  EXPECT_TRUE(is("writable", "yes", {"read only", "No"}));
  EXPECT_TRUE(is("writeable", "off", {"read only", "Yes"}));
  EXPECT_TRUE(is("write ok", "yes", {"read only", "No"}));
  EXPECT_TRUE(is("create mode", "0664", {"create mask", "0664"}));
  EXPECT_TRUE(is("Veto  Files", "/.DS_Store/", {"veto files", "/.DS_Store/"}));
  EXPECT_FALSE(Canonical("writable", "perhaps").has_value());
}

TEST(MeansTheSame, ComparesAsSambaReads) {
  EXPECT_TRUE(MeansTheSame("yes", "Yes"));
  EXPECT_TRUE(MeansTheSame("true", "Yes"));
  EXPECT_TRUE(MeansTheSame("664", "0664"));
  EXPECT_TRUE(MeansTheSame("heads, @staff  bob", "heads @staff bob"));
  EXPECT_TRUE(MeansTheSame("auto", "Auto"));
  EXPECT_FALSE(MeansTheSame("yes", "No"));
  EXPECT_FALSE(MeansTheSame("0664", "0666"));
  EXPECT_FALSE(MeansTheSame("1", "0"));
  EXPECT_FALSE(MeansTheSame("heads bob", "bob heads"));
  EXPECT_FALSE(MeansTheSame("", "x"));
}

TEST(MeansTheSame, KnowsTheWordsForOneValue) {
  EXPECT_TRUE(MeansTheSame("mandatory", "required"));
  EXPECT_TRUE(MeansTheSame("auto", "if_required"));
  EXPECT_TRUE(MeansTheSame("SMB2_10", "SMB2"));
  EXPECT_TRUE(MeansTheSame("disabled", "No"));
  EXPECT_FALSE(MeansTheSame("SMB2_02", "SMB2"));
  EXPECT_FALSE(MeansTheSame("mandatory", "auto"));
}

TEST(SameValue, TakesPathsAndParametersOfModulesAsTheyStand) {
  EXPECT_TRUE(SameValue("read only", "yes", "True"));
  EXPECT_FALSE(SameValue("path", "/tank/Data", "/tank/data"));
  EXPECT_FALSE(SameValue("shadow:format", "%Y-%m", "%Y-%M"));
  EXPECT_TRUE(SameValue("shadow:format", "%F ", "%F"));
  EXPECT_TRUE(Difference({{"path", "/a"}}, {{"path", "/A"}}, {}).find("'/A' instead of '/a'") !=
              std::string::npos);
}

TEST(WhyRefused, RefusesWhatRunsProgramsOrBreaksOut) {
  for (const char* name : {"preexec", "root preexec", "PreExec", "copy", "include", "path", "magic script"}) {
    EXPECT_NE(WhyRefused(name, "x"), "") << name;
  }
  EXPECT_NE(WhyRefused("comment", "a\n[evil]\npath = /"), "");
  EXPECT_NE(WhyRefused("comment", "swallows the next line \\"), "");
  EXPECT_NE(WhyRefused("comment", "\xC3"), "");
  EXPECT_NE(WhyRefused("comment]\n[evil", "x"), "");
  EXPECT_EQ(WhyRefused("comment", "für alle \"Köpfe\" %U"), "");
  EXPECT_EQ(WhyRefused("acl_xattr:ignore system acls", "yes"), "");
}

TEST(OwnFileText, ReadsWhatItWrote) {
  OwnFile file;
  file.globals = {{"workgroup", "PHX"}};
  file.Put({"Data", {{"path", "/srv/a"}, {"comment", "a = b [c]"}, {"veto files", ""}}});
  file.Put({"b b", {{"path", "/srv/b b"}}});
  const std::string text = Render(file);
  const auto parsed = ParseOwnFile(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, file);
  EXPECT_EQ(Render(*parsed), text);
  EXPECT_NE(file.Find("DATA"), nullptr) << "Samba's names have no case";
  EXPECT_EQ(*ParseOwnFile(Render(OwnFile())), OwnFile());
}

TEST(OwnFileText, EndsInGlobalSoThatNothingAfterTheIncludeBecomesAShares) {
  OwnFile file;
  file.Put({"data", {{"path", "/srv/a"}}});
  const std::string text = Render(file);
  EXPECT_EQ(text.rfind("[global]\n"), text.size() - 9);
}

TEST(OwnFileText, ChangesByHandShow) {
  const std::string text = Render(OwnFile());
  EXPECT_NE(Render(*ParseOwnFile(text + "# a word of mine\n")), text + "# a word of mine\n");
  EXPECT_FALSE(ParseOwnFile("[a]\npath=/x\n[A]\npath=/y\n").ok());
  EXPECT_FALSE(ParseOwnFile("[a]\nnonsense\n").ok());
}

class IncludeLineTest : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(IncludeLineTest, StandsAtTheEndOfGlobalAndGoesWithoutATrace) {
  const auto& [before, after] = GetParam();
  EXPECT_FALSE(Includes(before, kPath));
  EXPECT_EQ(AddInclude(before, kPath), after);
  EXPECT_TRUE(Includes(after, kPath));
  EXPECT_EQ(RemoveInclude(after, kPath), before);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, IncludeLineTest,
    ::testing::Values(
        std::pair("[global]\n   workgroup = W\n\n# Shares\n\n[homes]\n   browseable = no\n",
                  "[global]\n   workgroup = W\ninclude = /etc/samba/phoenix.conf\n\n# Shares\n\n[homes]\n"
                  "   browseable = no\n"),
        // A continued line is one.
        std::pair(
            "[global]\n server string = a \\\n   b\n[x]\n path = /x\n",
            "[global]\n server string = a \\\n   b\ninclude = /etc/samba/phoenix.conf\n[x]\n path = /x\n"),
        // A comment is not continued.
        std::pair("[global]\n workgroup = W\n# c \\\n realm = R\n[x]\n",
                  "[global]\n workgroup = W\n# c \\\n realm = R\ninclude = /etc/samba/phoenix.conf\n[x]\n"),
        // No newline at the end of the file.
        std::pair("[global]\nworkgroup = W", "[global]\nworkgroup = W\ninclude = /etc/samba/phoenix.conf"),
        std::pair("[global]", "[global]\ninclude = /etc/samba/phoenix.conf"),
        // Before the first header everything is global.
        std::pair("workgroup = W\n[x]\npath = /x\n",
                  "workgroup = W\ninclude = /etc/samba/phoenix.conf\n[x]\npath = /x\n"),
        std::pair("[x]\npath = /x\n[ GLOBAL ]\n[y]\npath = /y\n",
                  "[x]\npath = /x\n[ GLOBAL ]\ninclude = /etc/samba/phoenix.conf\n[y]\npath = /y\n"),
        std::pair("[x]\npath = /x\n", "include = /etc/samba/phoenix.conf\n[x]\npath = /x\n"),
        std::pair("# nothing\n", "include = /etc/samba/phoenix.conf\n# nothing\n"),
        std::pair("", "include = /etc/samba/phoenix.conf\n"),
        // Windows' line ends, another include, the line as a comment.
        std::pair("[global]\r\nworkgroup = W\r\n[x]\r\n",
                  "[global]\r\nworkgroup = W\r\ninclude = /etc/samba/phoenix.conf\n[x]\r\n"),
        std::pair("[global]\ninclude = /etc/samba/other.conf\n# include = /etc/samba/phoenix.conf\n",
                  "[global]\ninclude = /etc/samba/other.conf\ninclude = /etc/samba/phoenix.conf\n"
                  "# include = /etc/samba/phoenix.conf\n")));

TEST(IncludeLine, FindsOneThatAHandPut) {
  EXPECT_TRUE(Includes("[global]\n\tIn Clude=/etc/samba/phoenix.conf  \r\n", kPath));
  EXPECT_FALSE(Includes("[global]\n\tinclude = /etc/samba/phoenix.conf.old\n", kPath));
}

TEST(Difference, NamesWhatSambaReadsOtherwise) {
  const Parameters defaults = {{"guest ok", "No"}, {"create mask", "0744"}};
  EXPECT_EQ(Difference({{"path", "/x"}, {"guest ok", "No"}}, {{"path", "/x"}}, defaults), "");
  EXPECT_NE(Difference({{"path", "/x"}, {"guest ok", "Yes"}}, {{"path", "/x"}}, defaults), "");
  EXPECT_NE(Difference({{"path", "/x"}}, {{"path", "/x"}, {"force user", "root"}}, defaults), "");
  EXPECT_NE(Difference({{"path", "/x"}}, {}, defaults), "");
}

TEST(NtHash, IsWhatPassdbKeeps) {
  EXPECT_EQ(NtHash(Secret("")).Reveal(), "31D6CFE0D16AE931B73C59D7E0C089C0");
  EXPECT_EQ(NtHash(Secret("password")).Reveal(), "8846F7EAEE8FB117AD06BDD830B7586C");
  // As pdbedit printed them.
  EXPECT_EQ(NtHash(Secret("secret1")).Reveal(), "B39A61F16A4E11FA80580241F1D4AAE8");
  EXPECT_EQ(NtHash(Secret("secret2")).Reveal(), "C2CC78BA8B1DF908F563858B3095C7C7");
  // Longer than one block.
  EXPECT_NE(NtHash(Secret(std::string(28, 'a'))).Reveal(), NtHash(Secret(std::string(29, 'a'))).Reveal());
}

}  // namespace
}  // namespace phoenix::samba

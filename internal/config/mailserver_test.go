package config

import (
	"strings"
	"testing"
)

const server = "[[inbound.mailbox.server]]\n"

func TestMailServers(t *testing.T) {
	t.Parallel()
	const master = "master_user = \"recall\"\npassword_file = \"/p\"\n"
	for name, c := range map[string]struct{ text, problem string }{
		"as short as can be": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\n" + master, ""},
		"none":               {server + "domains = [\"a.test\"]\nbackend = \"none\"\n", ""},
		"no domains":         {server + "address = \"a:993\"\n" + master, "a server needs domains"},
		"no address":         {server + "domains = [\"a.test\"]\n" + master, "needs the address"},
		"no port":            {server + "domains = [\"a.test\"]\naddress = \"a\"\n" + master, "invalid address"},
		"no master":          {server + "domains = [\"a.test\"]\naddress = \"a:993\"\n", "needs master_user"},
		"in clear": {server + "domains = [\"a.test\"]\naddress = \"a:143\"\ntls = \"none\"\n" + master,
			"must be starttls or implicit"},
		"wrong auth": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\nauth = \"ntlm\"\n" + master, "use one of"},
		"token file": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\nauth = \"xoauth2\"\n" +
			"token = { file = \"/t\" }\n", ""},
		"no token": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\nauth = \"oauthbearer\"\n" + master,
			"needs one source"},
		"two tokens": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\nauth = \"xoauth2\"\n" +
			"token = { file = \"/t\", service_account_file = \"/s\" }\n", "needs one source"},
		"no secret": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\nauth = \"xoauth2\"\n" +
			"token = { url = \"https://a\", client_id = \"c\" }\n", "needs client_id and client_secret_file"},
		"graph, as short as can be": {server + "domains = [\"a.test\"]\nbackend = \"graph\"\n" +
			"token = { url = \"https://a\", client_id = \"c\", client_secret_file = \"/s\" }\n", ""},
		"graph without a token": {server + "domains = [\"a.test\"]\nbackend = \"graph\"\n",
			"backend = \"graph\" needs one source"},
		"graph with another's account": {server + "domains = [\"a.test\"]\nbackend = \"graph\"\n" +
			"token = { service_account_file = \"/s\" }\n", "takes tokens from url or file"},
		"graph leaves no notice": {"[inbound.mailbox]\nunread = \"replace\"\n" + server + "domains = [\"a.test\"]\n" +
			"backend = \"graph\"\ntoken = { file = \"/t\" }\n", "leaves no notice"},
		"graph with an act of its own": {"[inbound.mailbox]\nunread = \"replace\"\n" + server +
			"domains = [\"a.test\"]\nbackend = \"graph\"\nunread = \"move:Recalled\"\ntoken = { file = \"/t\" }\n", ""},
		"an unknown act of a server": {server + "domains = [\"a.test\"]\naddress = \"a:993\"\nread = \"burn\"\n" + master,
			"invalid value \"burn\""},
		"imap without a master": {"[inbound.mailbox]\nbackend = \"imap\"\n", "needs master_user"},
		"imap in clear": {"[inbound.mailbox]\nbackend = \"imap\"\nimap = { address = \"a:143\", master_user = \"m\", " +
			"password_file = \"/p\" }\n", "must be starttls or implicit"},
		"imap without a separator": {"[inbound.mailbox]\nbackend = \"imap\"\nimap = { master_user = \"m\", " +
			"password_file = \"/p\", separator = \"\" }\n", "must not be empty"},
	} {
		_, err := Parse("test.toml", []byte(c.text))
		if said := ""; err == nil && c.problem != "" {
			t.Errorf("%s: nothing is said", name)
		} else if err != nil {
			if said = err.Error(); c.problem == "" || !strings.Contains(said, c.problem) {
				t.Errorf("%s: %s", name, said)
			}
		}
	}
}

func TestTheOneServerOfImapComesLast(t *testing.T) {
	t.Parallel()
	c, err := Parse("test.toml",
		[]byte("[inbound.mailbox]\nbackend = \"imap\"\nimap = { address = \"a:993\", tls = \"tls\", "+
			"master_user = \"m\", password_file = \"/p\", separator = \"%\" }\n"+server+"domains = [\"b.test\"]\n"+
			"address = \"b:993\"\nauth = \"xoauth2\"\ntoken = { file = \"/t\" }\n"))
	if err != nil {
		t.Fatal(err)
	}
	all := c.Inbound.Mailbox.MailServers()
	if len(all) != 2 || all[0].TLS != "implicit" || all[1].Domains[0] != "*" || all[1].TLS != "implicit" ||
		all[1].Login != "{address}%{master}" || c.Inbound.Mailbox.Path(1) != "inbound.mailbox.imap" {
		t.Errorf("servers %+v", all)
	}
	secrets := c.Inbound.Mailbox.MailSecrets()
	if len(secrets) != 2 || secrets["inbound.mailbox.server.0.token.file"] != "/t" ||
		secrets["inbound.mailbox.imap.password_file"] != "/p" {
		t.Errorf("secrets %v", secrets)
	}
}

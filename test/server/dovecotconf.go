package server

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Dovecot 2.4 has other words than 2.3 for most of its settings, and starts with none of the old ones. Here is what the
// private servers of tests need, in the words of each.

// Dovecot24 says whether the Dovecot of this machine is 2.4 or newer.
func Dovecot24(t testing.TB) bool {
	t.Helper()
	program := Program(t, "dovecot")
	dovecotVersion.once.Do(func() {
		out, err := exec.Command(program, "--version").CombinedOutput()
		if err != nil {
			out = []byte(err.Error())
		}
		dovecotVersion.text = string(out)
	})
	if !strings.HasPrefix(dovecotVersion.text, "2.") {
		t.Fatalf("dovecot --version says %q", dovecotVersion.text)
	}
	return !strings.HasPrefix(dovecotVersion.text, "2.3.")
}

var dovecotVersion struct {
	once sync.Once
	text string
}

// worded is a text in the words of the Dovecot of this machine.
func worded(t testing.TB, old, today string) string {
	t.Helper()
	if Dovecot24(t) {
		return today
	}
	return old
}

// dovecotBase is what every private Dovecot needs.
func dovecotBase(t testing.TB, dir string) string {
	t.Helper()
	return fmt.Sprintf(worded(t, "disable_plaintext_auth = no\n", "dovecot_config_version = 2.4.0\n"+
		"dovecot_storage_version = 2.4.0\nauth_allow_cleartext = yes\n")+`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
auth_mechanisms = plain login
auth_failure_delay = 0
mail_max_userip_connections = 1000
`, dir)
}

func listener(t testing.TB, name, addr string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	tls := map[bool]string{true: "\n    ssl = yes"}[name == "imaps"]
	return fmt.Sprintf("inet_listener %s {\n    %s = %s\n    port = %s%s\n  }", name, worded(t, "address", "listen"),
		host, port, tls)
}

func noListener(name string) string { return "  inet_listener " + name + " {\n    port = 0\n  }" }

// Of StartLogins: its folder.
const (
	logins23 = `protocols =
ssl = no
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s
}
`
	logins24 = `protocols =
ssl = no
passdb logins {
  driver = passwd-file
  passwd_file_path = %[1]s/users
  default_password_scheme = PLAIN
}
userdb static {
  fields {
    uid = nobody
    gid = nogroup
    home = %[1]s
  }
}
`
)

// Of StartMailboxes: its folder, and the password of its users.
const (
	mailboxes23 = `protocols = imap pop3 lmtp
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
auth_master_user_separator = *
mail_location = maildir:~/Maildir
first_valid_uid = 1
lda_mailbox_autocreate = yes
mail_plugins =
passdb {
  driver = passwd-file
  master = yes
  args = %[1]s/masters
}
passdb {
  driver = static
  args = password=%[2]s
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s/mail/%%Lu
}
` + inbox
	mailboxes24 = `protocols = imap pop3 lmtp
ssl = yes
ssl_server_cert_file = %[1]s/cert.pem
ssl_server_key_file = %[1]s/key.pem
auth_master_user_separator = *
mail_driver = maildir
mail_path = ~/Maildir
first_valid_uid = 1
lda_mailbox_autocreate = yes
passdb masters {
  driver = passwd-file
  master = yes
  passwd_file_path = %[1]s/masters
}
passdb static {
  password = %[2]s
}
userdb static {
  fields {
    uid = nobody
    gid = nogroup
    home = %[1]s/mail/%%{user | lower}
  }
}
` + inbox
	inbox = `namespace inbox {
  inbox = yes
  mailbox Trash {
    special_use = \Trash
    auto = create
  }
}
`
)

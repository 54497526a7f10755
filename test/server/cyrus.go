package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cyrus is a private Cyrus IMAP server, which makes a mailbox for every recipient of mail. Master acts for all users.
type Cyrus struct {
	IMAP, LMTP     string // 127.0.0.1:port
	Master         string // user name
	MasterPassword string // file
}

const cyrusConf = `configdirectory: %[1]s/conf
partition-default: %[1]s/spool
defaultpartition: default
lmtpsocket: %[1]s/lmtp
proc_path: %[1]s/proc
mboxname_lockpath: %[1]s/lock
cyrus_user: nobody
cyrus_group: nogroup
servername: imap.test
admins: admin
proxyservers: %[2]s
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: %[1]s/sasldb
unixhierarchysep: yes
altnamespace: yes
virtdomains: userid
autocreate_quota: 0
autocreate_post: yes
autocreate_users: anyone
duplicatesuppression: no
`

const cyrusServices = `START {
  recover cmd="%[1]s/bin/ctl_cyrusdb -C %[1]s/imapd.conf -r"
}
SERVICES {
  imap cmd="%[1]s/bin/imapd -C %[1]s/imapd.conf" listen="%[2]s" proto="tcp4"
  lmtp cmd="%[1]s/bin/lmtpd -a -C %[1]s/imapd.conf" listen="%[3]s" proto="tcp4"
}
EVENTS {
}
`

// StartCyrus starts a Cyrus with Debian's programs.
func StartCyrus(t testing.TB) *Cyrus {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a private Cyrus needs root: it runs as another user")
	}
	dir := publicDir(t)
	c := &Cyrus{IMAP: FreeAddr(t), LMTP: FreeAddr(t), Master: "recall@corp.test",
		MasterPassword: filepath.Join(t.TempDir(), "password")}
	if err := os.WriteFile(c.MasterPassword, []byte("master-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeAll(t, dir, map[string]string{"imapd.conf": fmt.Sprintf(cyrusConf, dir, c.Master),
		"cyrus.conf": fmt.Sprintf(cyrusServices, dir, c.IMAP, c.LMTP)})
	// its user can't look into the cache of whoever runs the tests
	root := unpacked(t, "cyrus")
	copyPrograms(t, filepath.Join(dir, "bin"), filepath.Join(root, "usr/lib/cyrus/bin/*"),
		filepath.Join(root, "usr/lib/*/libcyrus*.so.0"))
	for _, sub := range []string{"conf", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	password := exec.Command(filepath.Join(unpacked(t, "sasl"), "usr/sbin/saslpasswd2"), "-c", "-p", "-f",
		filepath.Join(dir, "sasldb"), "-u", "corp.test", "recall")
	password.Stdin = strings.NewReader("master-secret")
	if out, err := password.CombinedOutput(); err != nil {
		t.Fatalf("saslpasswd2: %v\n%s", err, out)
	}
	giveToNobody(t, dir)
	runCyrus(t, dir, c.LMTP)
	return c
}

func copyPrograms(t testing.TB, to string, globs ...string) {
	t.Helper()
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, glob := range globs {
		all, err := filepath.Glob(glob)
		if err != nil || len(all) == 0 {
			t.Fatalf("nothing is at %s: %v", glob, err)
		}
		for _, path := range all {
			if out, err := exec.Command("cp", "-L", path, to).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v\n%s", err, out)
			}
		}
	}
}

func giveToNobody(t testing.TB, dir string) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func runCyrus(t testing.TB, dir, lmtp string) {
	t.Helper()
	c := exec.Command(filepath.Join(dir, "bin/master"), "-C", filepath.Join(dir, "imapd.conf"), "-M",
		filepath.Join(dir, "cyrus.conf"), "-p", filepath.Join(dir, "pid"))
	c.Env = []string{"LD_LIBRARY_PATH=" + filepath.Join(dir, "bin"), "CYRUS_USER=nobody", "PATH=" + os.Getenv("PATH")}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatalf("cyrus does not start: %v", err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		endGroup(t, c.Process.Pid)
	})
	Eventually(t, "cyrus answers at "+lmtp, func() bool {
		conn, err := net.DialTimeout("tcp", lmtp, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = conn.Read(make([]byte, 1))
		return err == nil
	})
}

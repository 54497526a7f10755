package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Roundcube is Debian's Roundcube, served by PHP itself.
type Roundcube struct {
	URL string
	Dir string // what /var/lib/roundcube is elsewhere
	t   testing.TB
}

const roundcubeConf = `<?php
$config = [];
$config['db_dsnw'] = 'sqlite:///%[1]s/db.sqlite?mode=0600';
$config['imap_host'] = '%[2]s';
$config['smtp_host'] = '%[3]s';
$config['smtp_user'] = '%%u';
$config['smtp_pass'] = '%%p';
$config['des_key'] = 'rcmail-!24ByteDESkey*Str';
$config['mail_domain'] = 'corp.test';
$config['plugins'] = ['recall_milter'];
$config['skin'] = 'elastic';
$config['log_dir'] = '%[1]s/logs';
$config['temp_dir'] = '%[1]s/temp';
$config['create_default_folders'] = true;
`

// StartRoundcube starts a Roundcube for the mailboxes at imap that submits to smtp. It loads our plugin, which is to be
// installed; more are further lines of its configuration.
func StartRoundcube(t testing.TB, imap, smtp, more string) *Roundcube {
	t.Helper()
	root := unpacked(t, "roundcube")
	addr := FreeAddr(t)
	r := &Roundcube{URL: "http://" + addr, Dir: t.TempDir(), t: t}
	for _, sub := range []string{"plugins", "config", "logs", "temp"} {
		if err := os.Mkdir(filepath.Join(r.Dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	code := filepath.Join(root, "usr/share/roundcube")
	for link, to := range map[string]string{"program": code + "/program", "skins": code + "/skins", "SQL": code + "/SQL",
		"plugins/jqueryui":               code + "/plugins/jqueryui",
		"plugins/filesystem_attachments": code + "/plugins/filesystem_attachments",
		"config/defaults.inc.php":        root + "/etc/roundcube/defaults.inc.php",
		"config/mimetypes.php":           root + "/etc/roundcube/mimetypes.php"} {
		if err := os.Symlink(to, filepath.Join(r.Dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	writeAll(t, r.Dir, map[string]string{
		"index.php":             "<?php define('INSTALL_PATH', __DIR__ . '/'); require '" + code + "/index.php';",
		"config/config.inc.php": fmt.Sprintf(roundcubeConf, r.Dir, imap, smtp) + more,
	})
	r.run(addr, filepath.Join(root, "usr/share/php"))
	return r
}

// run has PHP serve it until the test ends.
func (r *Roundcube) run(addr, libraries string) {
	r.t.Helper()
	c := exec.Command(Program(r.t, "php"), "-d", "include_path=.:"+libraries, "-S", addr, "-t", r.Dir)
	c.Dir = r.Dir
	c.Env = append(os.Environ(), "PHP_CLI_SERVER_WORKERS=6")
	out, err := os.Create(filepath.Join(r.Dir, "logs/php"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		r.t.Fatalf("php does not start: %v", err)
	}
	r.t.Cleanup(func() {
		endGroup(r.t, c.Process.Pid)
		c.Wait()
		if r.t.Failed() {
			r.t.Logf("roundcube:\n%s", r.Log())
		}
	})
	Eventually(r.t, "roundcube answers at "+addr, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// Log is what Roundcube has logged as errors.
func (r *Roundcube) Log() string {
	text, _ := os.ReadFile(filepath.Join(r.Dir, "logs/errors.log"))
	return string(text)
}

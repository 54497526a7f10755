package server

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// PostfixConf makes a configuration for postconf and "postfix check", and starts nothing: main.cf lines, and master.cf
// lines behind Debian's usual beginning. It returns the folder.
func PostfixConf(t testing.TB, main, master string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("postfix check needs root")
	}
	Program(t, "postconf")
	dir := postfixDir(t)
	main = overridden(fmt.Sprintf("compatibility_level = 3.6\nmyhostname = gw.corp.test\nmynetworks = "+
		"127.0.0.0/8\nqueue_directory = %[1]s/spool\n"+
		"data_directory = %[1]s/data\nmaillog_file = /dev/stdout\nmaillog_file_prefixes = /dev\n", dir), main)
	master = "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\ncleanup unix n - y - 0 cleanup\n" +
		"qmgr unix n - n 300 1 qmgr\npostlog unix-dgram n - n - 1 postlogd\n" + master
	conf := filepath.Join(dir, "conf")
	for name, text := range map[string]string{"main.cf": main, "master.cf": master} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		Aged(t, filepath.Join(conf, name))
	}
	return conf
}

// Aged makes a file older: Postfix's programs wait until one that they read is two seconds old.
func Aged(t testing.TB, path string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

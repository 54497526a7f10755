package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Slapd is a private OpenLDAP server of Debian's packages, with people below dc=corp,dc=test.
type Slapd struct {
	Addr string
	Conf string // folder with settings of Postfix for postmap, which then knows the table type ldap (MAIL_CONFIG)

	t    testing.TB
	root string // where the packages were unpacked
	dir  string
	cmd  *exec.Cmd
}

// StartSlapd starts one that knows the departments of some addresses, and ends it with the test.
func StartSlapd(t testing.TB, departments map[string]string) *Slapd {
	t.Helper()
	dir := t.TempDir()
	s := &Slapd{Addr: FreeAddr(t), Conf: filepath.Join(dir, "postfix"), t: t, root: unpacked(t, "slapd"), dir: dir}
	for _, folder := range []string{"data", "postfix"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	schema := filepath.Join(s.root, "etc/ldap/schema")
	write(t, s.file("slapd.conf"), fmt.Sprintf("include %[1]s/core.schema\ninclude %[1]s/cosine.schema\n"+
		"include %[1]s/inetorgperson.schema\nmodulepath %[2]s/usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\n"+
		"maxsize 10485760\nsuffix dc=corp,dc=test\ndirectory %[3]s\nindex mail eq\n", schema, s.root, s.file("data")))
	people := "dn: dc=corp,dc=test\nobjectClass: domain\ndc: corp\n"
	for address, department := range departments {
		people += fmt.Sprintf("\ndn: cn=%[1]s,dc=corp,dc=test\nobjectClass: inetOrgPerson\ncn: %[1]s\nsn: x\nmail: %[1]s\n"+
			"departmentNumber: %[2]s\n", address, department)
	}
	write(t, s.file("people.ldif"), people)
	write(t, filepath.Join(s.Conf, "main.cf"), "meta_directory = "+s.Conf+"\ncompatibility_level = 3.6\n")
	write(t, filepath.Join(s.Conf, "dynamicmaps.cf"), "ldap "+s.root+"/usr/lib/postfix/postfix-ldap.so dict_ldap_open\n")
	if out, err := s.program("slapadd", "-q", "-l", s.file("people.ldif")).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

func (s *Slapd) file(name string) string { return filepath.Join(s.dir, name) }

// program is slapd under one of its names, with the libraries that were unpacked with it.
func (s *Slapd) program(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.root, "usr/sbin/slapd"), append([]string{"-f", s.file("slapd.conf")}, args...)...)
	c.Args[0] = name
	libraries, _ := filepath.Glob(filepath.Join(s.root, "usr/lib/*/libslapi-*.so.0"))
	c.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Dir(strings.Join(libraries, "")))
	return c
}

// Start starts the server again, on the same port and data.
func (s *Slapd) Start() {
	s.t.Helper()
	s.cmd = s.program("slapd", "-h", "ldap://"+s.Addr+"/", "-d", "0")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	awaitPort(s.t, "slapd", s.Addr)
}

// Kill ends the server at once.
func (s *Slapd) Kill() {
	s.cmd.Process.Signal(syscall.SIGKILL)
	s.cmd.Wait()
}

// Pause stops the process: it takes connections and answers nothing.
func (s *Slapd) Pause() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Slapd) Resume() { s.cmd.Process.Signal(syscall.SIGCONT) }

// Table writes a file of ldap_table(5) as an administrator has it, for this server, and returns its path.
func (s *Slapd) Table(name, text string) string {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	file := filepath.Join(s.Conf, name)
	write(s.t, file, strings.ReplaceAll(text, "ldap://127.0.0.1", "ldap://"+net.JoinHostPort(host, port)))
	return file
}

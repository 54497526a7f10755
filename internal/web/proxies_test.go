package web_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// frame is what a web server needs around an example, and how it is started with a file.
type frame struct {
	text    string // %s: the example
	command []string
}

// frames are those of the web servers that the manual has examples for. DIR is their folder, PORT their port.
var frames = map[string]frame{
	"caddy": {"{\n\tadmin off\n\tauto_https disable_redirects\n" +
		"\tstorage file_system DIR\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n%s",
		[]string{"caddy", "run", "--adapter", "caddyfile", "--config", "FILE"}},
	"nginx": {"user root;\ndaemon off;\npid DIR/pid;\nerror_log DIR/log;\nevents {}\nhttp {\naccess_log off;\n" +
		"client_body_temp_path DIR;\nproxy_temp_path DIR;\nfastcgi_temp_path DIR;\n" +
		"uwsgi_temp_path DIR;\nscgi_temp_path DIR;\n%s}\n",
		[]string{"nginx", "-p", "DIR", "-c", "FILE"}},
	"apache": {apacheLines() + "%s", []string{"apache2", "-DFOREGROUND", "-f", "FILE"}},
}

func apacheLines() string {
	text := "ServerRoot DIR\nPidFile DIR/pid\nErrorLog DIR/log\nListen 127.0.0.1:PORT\nServerName localhost\n" +
		"Mutex file:DIR\n"
	for _, name := range strings.Fields("mpm_event authn_core authn_file authz_core authz_user auth_basic headers " +
		"socache_shmcb ssl proxy proxy_http") {
		text += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name)
	}
	return text
}

// example returns a block of code of docs/web.md by the words behind its fence.
func example(t *testing.T, words string) string {
	t.Helper()
	manual, err := os.ReadFile("../../docs/web.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + words + "\n(.*?)```").FindSubmatch(manual)
	if m == nil {
		t.Fatalf("docs/web.md has no example %q", words)
	}
	return string(m[1])
}

// proxied starts a web server with an example of the manual in front of a page, and returns its address.
func (h *house) proxied(t *testing.T, name, words string) string {
	t.Helper()
	dir, address := t.TempDir(), server.FreeAddr(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	port := address[strings.LastIndexByte(address, ':')+1:]
	c := server.MakeCertificates(t, "recall.corp.test")
	people := filepath.Join(dir, "people")
	hash, err := exec.Command("caddy", "hash-password", "--plaintext", "secret").Output()
	if err == nil {
		err = os.WriteFile(people, []byte("anna:{PLAIN}secret\n"), 0o644)
	}
	if name == "apache" && err == nil {
		err = exec.Command("htpasswd", "-bc", people, "anna", "secret").Run()
	}
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:8892", strings.TrimPrefix(h.url, "http://"), "443 ssl", address+" ssl",
		"*:443", "*:"+port, "recall.corp.test {", "https://recall.corp.test:"+port+" {\n\ttls "+c.Cert+" "+c.Key,
		"/etc/ssl/recall.pem", c.Cert, "/etc/ssl/recall.key", c.Key, "/etc/nginx/people", people,
		"/etc/apache2/people", people, "HASH", strings.TrimSpace(string(hash))).Replace(example(t, words))
	where := strings.NewReplacer("DIR", dir, "FILE", filepath.Join(dir, "conf"), "PORT", port)
	f := frames[name]
	err = os.WriteFile(filepath.Join(dir, "conf"), []byte(where.Replace(fmt.Sprintf(f.text, text))), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(f.command[0])
	for _, word := range f.command[1:] {
		run.Args = append(run.Args, where.Replace(word))
	}
	var out strings.Builder
	run.Stdout, run.Stderr, run.Dir = &out, &out, dir
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run.Process.Signal(syscall.SIGTERM)
		run.Wait()
		if log, err := os.ReadFile(filepath.Join(dir, "log")); t.Failed() && err == nil {
			t.Logf("%s said:\n%s%s", name, out.String(), log)
		}
	})
	return address
}

// Each example of the manual passes the page on, and believes nobody who says by a header who they are.
func TestTheManualsReverseProxiesBelieveNobody(t *testing.T) {
	if os.Getenv("PROXIES") == "" {
		t.Skip("make proxies installs three web servers and tries the manual's examples")
	}
	h := open(t, "[web.sign_in]\nheader = \"Remote-User\"\n")
	link, _ := h.marker.HoldLink(h.ids["of anna"], time.Now().Add(time.Hour))
	for name := range frames {
		t.Run(name, func(t *testing.T) { h.behind(t, name, link, false) })
		t.Run(name+" sign-in", func(t *testing.T) { h.behind(t, name, link, true) })
	}
}

// behind tries the example of a web server with and without a sign-in there.
func (h *house) behind(t *testing.T, name, link string, signIn bool) {
	words := name
	if signIn {
		words += " sign-in"
	}
	address := h.proxied(t, name, words)
	ask := func(path, password string) (int, string) { return throughTLS(address, path, password) }
	server.Eventually(t, words+" answers", func() bool { code, _ := ask("/l/"+link, ""); return code == 200 })
	if _, text := ask("/l/"+link, ""); strings.Contains(text, "Signed in as") || !strings.Contains(text, "of anna") {
		t.Errorf("the link of a notice: %s", text)
	}
	code, text := ask("/", "")
	if !signIn && !strings.Contains(text, "Mail me a link") || signIn && code != http.StatusUnauthorized {
		t.Errorf("the header of a browser is believed: %d %s", code, text)
	}
	if !signIn {
		return
	}
	if code, text := ask("/", "secret"); code != http.StatusOK || !strings.Contains(text, h.ids["of anna"]) ||
		strings.Contains(text, h.ids["of bert"]) {
		t.Errorf("signed in as anna: %d %s", code, text)
	}
}

// throughTLS asks for a page as a browser that calls itself bert by the header; with a password as anna.
func throughTLS(address, path, password string) (int, string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "recall.corp.test"}}}
	r, err := http.NewRequest("GET", "https://"+address+path, nil)
	if err != nil {
		return 0, ""
	}
	r.Host = "recall.corp.test"
	r.Header.Set("Remote-User", "bert")
	if password != "" {
		r.SetBasicAuth("anna", password)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

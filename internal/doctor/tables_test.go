package doctor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/postfix"
	"github.com/recall-milter/recall-milter/test/server"
)

// An entry that leads back to the re-injection port is found in every kind of table whose entries can be listed. Of
// another one doctor says that it was not looked at.
func TestLoopsAreLookedForInEveryKindOfTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const loop, unread = "postfix.loop", "postfix.unread"
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	entry := "x.test smtp:[127.0.0.1]:10026\n"
	indexed := func(kind, name string) string { // without its source
		path := file(name, entry)
		if out, err := exec.Command(server.Program(t, "postmap"), kind+":"+path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return kind + ":" + path
	}
	for table, want := range map[string]string{
		indexed("hash", "hash"):                                         loop,
		indexed("btree", "btree"):                                       loop,
		"proxy:" + indexed("hash", "proxied"):                           loop,
		"hash:" + file("source", entry):                                 loop, // not yet made by postmap
		"texthash:" + file("text", entry):                               loop,
		"texthash:" + file("comment", "#"+entry):                        "",
		"regexp:" + file("regexp", "/^x/ smtp:[127.0.0.1]:10026\n"):     loop,
		"pcre:" + file("pcre", "/^x/ smtp:[127.0.0.1]:10026\n"):         loop,
		"cidr:" + file("cidr", "192.0.2.0/24 smtp:[127.0.0.1]:10026\n"): loop,
		"inline:{x.test=smtp:[127.0.0.1]:10026}":                        loop,
		"static:{smtp:[127.0.0.1]:10026}":                               loop,
		"unionmap:{static:x, texthash:" + dir + "/text}":                loop,
		"pipemap:{texthash:" + dir + "/text, static:x}":                 loop,
		"hash:" + dir + "/gone":                                         unread,
		"ldap:" + file("ldap.cf", "server_host = ldap.test\n"):          unread,
		"proxy:mysql:" + file("mysql.cf", "hosts = db.test\n"):          unread,
		"pgsql:" + dir + "/pgsql.cf":                                    unread,
		"sqlite:" + dir + "/sqlite.cf":                                  unread,
		"memcache:" + dir + "/memcache.cf":                              unread,
		"tcp:127.0.0.1:1":                                               unread,
		"socketmap:inet:127.0.0.1:1:name":                               unread,
		"unionmap:{static:x, ldap:" + dir + "/ldap.cf}":                 unread,
	} {
		t.Run(strings.ReplaceAll(table, dir, ""), func(t *testing.T) {
			t.Parallel()
			s := siteOf(t, "")
			s.Postfix = server.PostfixConf(t, healthyMain+"transport_maps = "+table+"\n", healthyPort)
			s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
			found := gathered(func(r report) { mtas(context.Background(), s, r) })
			fixed(t, found)
			var got []string
			for _, f := range found {
				if f.Check == loop || f.Check == unread {
					got = append(got, f.Check)
				}
				if f.Check == unread && (f.Level != Note || !strings.HasPrefix(f.Text, "transport_maps: the entries of ")) {
					t.Errorf("found %+v", f)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("found %q, want %q: %+v", got, want, found)
			}
		})
	}
}

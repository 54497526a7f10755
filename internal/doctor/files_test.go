package doctor

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

func TestEachFaultOfAFileIsNamed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("files of several owners need root")
	}
	root, err := os.MkdirTemp("", "files") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	os.Chmod(root, 0o755)
	const nobody = 65534
	for name, c := range map[string]struct {
		do   func(path string) error
		want string
	}{
		"healthy":             {func(string) error { return nil }, ""},
		"everybody reads":     {func(p string) error { return os.Chmod(p, 0o644) }, "files.open"},
		"the group writes":    {func(p string) error { return os.Chmod(p, 0o660) }, "files.writable"},
		"everybody writes":    {func(p string) error { return os.Chmod(p, 0o642) }, "files.writable"},
		"somebody else's":     {func(p string) error { return os.Chown(p, 12345, nobody) }, "files.owner"},
		"away":                {os.Remove, "files.missing"},
		"not the daemon's":    {func(p string) error { return os.Chown(p, 0, 0) }, "files.daemon"},
		"in a closed folder":  {func(p string) error { return os.Chmod(filepath.Dir(p), 0o700) }, "files.daemon"},
		"only the owner's":    {func(p string) error { return os.Chmod(p, 0o600) }, "files.daemon"},
		"in an open folder":   {func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, "files.folder"},
		"in another's folder": {func(p string) error { return os.Chown(filepath.Dir(p), 12345, 0) }, "files.folder"},
		"a link into an open folder": {func(p string) error {
			open := filepath.Join(filepath.Dir(p), "open")
			return errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.Rename(p, filepath.Join(open, "real")),
				os.Symlink(filepath.Join(open, "real"), p))
		}, "files.folder"},
		"in a folder like /tmp": {func(p string) error { return os.Chmod(filepath.Dir(p), 0o777|os.ModeSticky) }, ""},
		"the daemon's own":      {func(p string) error { return os.Chown(p, nobody, 0) }, ""},
		"in the daemon's own":   {func(p string) error { return os.Chown(filepath.Dir(p), nobody, 0) }, ""},
	} {
		for _, key := range []string{configKey, "secret_file", "seal.key_file", "redis.password_file",
			"inbound.mailbox.imap.password_file"} {
			t.Run(name+"/"+key, func(t *testing.T) {
				dir, err := os.MkdirTemp(root, "")
				if err != nil {
					t.Fatal(err)
				}
				os.Chmod(dir, 0o755)
				path := filepath.Join(dir, "file")
				os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o640)
				os.Chown(path, 0, nobody)
				if err := c.do(path); err != nil {
					t.Fatal(err)
				}
				s := siteWith(t, key, path)
				look := func() []Finding { return gathered(func(r report) { files(context.Background(), s, r) }) }
				found := look()
				if got := strings.Join(checks(found), " "); got != c.want || c.want != "" &&
					!strings.Contains(found[0].Text, key+": "+path) {
					t.Errorf("found %q, want %q: %+v", got, c.want, found)
				}
				fixed(t, found)
				s.pasted(t, found, look)
			})
		}
	}
}

// siteWith is a site whose daemon runs as nobody, with one file.
func siteWith(t *testing.T, key, path string) *Site {
	t.Helper()
	s := siteOf(t, "")
	switch c := s.Config; key {
	case configKey:
		s.File = path
	case "secret_file":
		c.SecretFile = path
	case "seal.key_file":
		c.Seal.KeyFile = path
	case "redis.password_file":
		c.Redis.PasswordFile = path
	default:
		c.Inbound.Mailbox.Backend, c.Inbound.Mailbox.IMAP.PasswordFile = "imap", path
	}
	return s
}

func TestAFileThatCanNotBeUsedIsNamed(t *testing.T) {
	for _, key := range []string{"secret_file", "seal.key_file"} {
		path := filepath.Join(t.TempDir(), "file")
		os.WriteFile(path, []byte("no key\n"), 0o600)
		s := siteWith(t, key, path)
		s.User = ""
		found := gathered(func(r report) { files(context.Background(), s, r) })
		if got := strings.Join(checks(found), " "); got != "files.content" {
			t.Errorf("%s: found %q: %+v", key, got, found)
		}
	}
}

func TestAConfigThatIsOnlyInTheEnvironmentIsNoFault(t *testing.T) {
	if got := checks(gathered(func(r report) {
		files(context.Background(), siteWith(t, configKey, "/dev/null"),
			r)
	})); len(got) > 0 {
		t.Errorf("found %v", got)
	}
}

func TestAFileThatCanNotBeLookedAtIsNamed(t *testing.T) {
	found := gathered(func(r report) { files(context.Background(), siteWith(t, "secret_file", "/etc/passwd/secret"), r) })
	if got := strings.Join(checks(found), " "); got != "files.unchecked" {
		t.Errorf("found %q: %+v", got, found)
	}
}

// A file of patterns must be readable by the daemon, and no fault for being readable by others; what is in it counts.
func TestAListThatCanNotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a@x.test\n": "", "/(/\n": "config.list"} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "vips"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, "c.toml")
		if err := os.WriteFile(file, []byte("[[hold.rule]]\nname = \"r\"\nsender = [\"@vips\"]\n"), 0o640); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		s := &Site{File: file, Config: c}
		found := gathered(func(r report) { settings(context.Background(), s, r) })
		if got := strings.Join(checks(found), " "); got != want {
			t.Errorf("%q: %q, want %q: %+v", text, got, want, found)
		}
		fixed(t, found)
	}
}

func TestASettingOfMailboxesThatDoesNothingIsNamed(t *testing.T) {
	t.Parallel()
	s := siteOf(t, "[inbound.mailbox]\nnotice = \"always\"\n")
	found := gathered(func(r report) { settings(t.Context(), s, r) })
	fixed(t, found)
	for _, f := range found {
		if f.Check == "config.mailbox" && f.Level == Warning && strings.Contains(f.Text, "no mailbox can be reached") {
			return
		}
	}
	t.Errorf("config.mailbox is not among %+v", found)
}

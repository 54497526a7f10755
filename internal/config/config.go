// Package config reads recall-milter.toml: strictly, and with every error at once, each with its line.
package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/recall-milter/recall-milter/internal/lists"
)

// DefaultFile is where all programs look for the config unless they are told otherwise.
const DefaultFile = "/etc/recall-milter/recall-milter.toml"

// Config is the whole file. What has the tag reload can change while the daemon runs; Reload does it.
type Config struct {
	Listen          []string `toml:"listen"`
	SocketMode      Mode     `toml:"socket_mode"`
	SocketGroup     string   `toml:"socket_group"`
	OnStoreFailure  string   `toml:"on_store_failure" allowed:"tempfail,deliver"`
	SecretFile      string   `toml:"secret_file"`
	RecordRetention Duration `toml:"record_retention"`
	Log             Log      `toml:"log"`
	Redis           Redis    `toml:"redis"`
	Seal            Seal     `toml:"seal"`
	Outbound        Outbound `toml:"outbound"`
	Hold            Hold     `toml:"hold"`
	Release         Release  `toml:"release"`
	Recall          Recall   `toml:"recall"`
	Inbound         Inbound  `toml:"inbound"`
	HTTP            HTTP     `toml:"http"`
	Web             Web      `toml:"web"`

	Environment []string // keys that the environment set, over the file
	Doubts      []Doubt  // what of it its author hardly wants
	File        string   // that Load has read
	Sum         string   // SHA-256 of the file that Load has read, in hexadecimal digits

	Lists *lists.Set // of the files that are named as "@FILE"; nothing is read before a list is asked for
}

// listForms are the forms that list programs give to addresses of their own: of their owners, and for bounces of what
// they send, with the subscriber's address in it or without.
var listForms = []string{"*@lists.*", "*-owner@*", "owner-*@*", "*-bounces@*", "*-bounces+*@*", "*+bounces-*@*",
	"*-return-*@*",
	"*+bnc*@*", "*-request@*"}

// Default returns the values of keys that a file leaves out.
func Default() *Config {
	d := func(t time.Duration) Duration { return Duration(t) }
	const day = 24 * time.Hour
	return &Config{
		Listen: []string{"inet:8890@127.0.0.1"}, SocketMode: 0o660, OnStoreFailure: "tempfail", RecordRetention: d(7 * day),
		Log:   Log{Level: "info", Format: "text"},
		Redis: Redis{Addresses: []string{"127.0.0.1:6379"}, Prefix: "recall", Durability: "strict"},
		Outbound: Outbound{Authenticated: true, Networks: []string{"127.0.0.0/8", "::1/128"},
			DaemonNames:  []string{"ORIGINATING"},
			LocalDomains: []string{}},
		Hold: Hold{Grace: d(2 * time.Minute), MaxGrace: d(day), MaxSize: 50 << 20, RequestHeader: "X-Hold-For",
			Wish: "longer", OwnGrace: []Duration{}, Remember: d(365 * day), Holidays: Dates{}},
		Release: Release{SMTP: "127.0.0.1:10026", Concurrency: 8, CancelLock: true, Received: "short",
			Retry: Retry{First: d(10 * time.Second), Max: d(10 * time.Minute), GiveUpAfter: d(5 * day)}},
		Recall: Recall{Outlook: true, SubjectPrefixes: []string{"Recall:", "Rückruf:", "撤回:", "回收:", "회수:"},
			PersonalLogins: []string{}, Supersedes: true,
			Reports: "always", Notice: "never", Retention: d(day), AfterRelease: "request", RequestDomains: []string{"*"},
			AnswerWithin: d(time.Hour), Rate: Rate{60, time.Hour}},
		Inbound: Inbound{Verify: []string{"dkim", "spf", "dmarc"}, Remember: d(7 * day), Lists: slices.Clone(listForms),
			Recall: InboundRecall{Require: []string{"aligned"}, Partners: []string{"*"}, MaxAge: d(7 * day),
				Rate: Rate{30, time.Hour}, OnPass: "execute", OnFail: "reject"},
			Mailbox: Mailbox{Backend: "none", Unread: "delete", Read: "keep", Notice: "never",
				IMAP: IMAP{Address: "127.0.0.1:143", TLS: "none", Separator: "*"}}},
		HTTP: HTTP{Listen: "127.0.0.1:8891"},
		Web: Web{Listen: []string{}, TrustedProxies: []string{"127.0.0.1/32", "::1/128"}, Session: d(12 * time.Hour),
			Preview: true, Operators: []string{},
			Languages: []string{"en", "de", "fr", "es", "ja", "zh"}, SignIn: SignIn{Link: true,
				OIDC: OIDC{LoginClaim: "preferred_username", AddressClaim: "email"}}},
	}
}

// Load reads a file, and over it the variables RECALL_MILTER_...; *_file keys may name credentials of systemd. An error
// that is about their content is of type Problems.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the config can't be read: %w", err)
	}
	c, err := parse(path, text, os.Environ(), os.Getenv("CREDENTIALS_DIRECTORY"))
	if err == nil {
		c.File = path
		c.Sum = fmt.Sprintf("%x", sha256.Sum256(text))
	}
	return c, err
}

// maxFile bounds a config file.
const maxFile = 1 << 20

func parse(name string, text []byte, environ []string, folder string) (*Config, error) {
	c, problems, _ := tryParse(name, text, environ, folder)
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// tryParse is parse with what could be read in spite of problems; broken: the file ends for us at the last of them.
func tryParse(name string, text []byte, environ []string, folder string) (c *Config, problems Problems, broken bool) {
	c, s := Default(), newSource(name, text)
	c.Lists = lists.New(filepath.Dir(name))
	if len(text) > maxFile {
		s.problem("", "the file has %d bytes, and at most %d are read", len(text), maxFile)
		s.broken = true
	} else if s.decode(c); !s.broken {
		s.environment(c, environ)
		c.Hold.inherit()
		c.check(s)
		c.credentials(s, folder)
	}
	if len(s.problems) == 0 {
		c.Doubts = c.doubts(s)
	}
	return c, s.problems, s.broken
}

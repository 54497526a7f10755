package authenticate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.yaml.in/yaml/v3"

	"github.com/recall-milter/recall-milter/test/server"
)

// difference is a case of a public suite that ends in another way here, and why that is right.
type difference struct{ name, result, reason string }

// outcome is how a suite went.
type outcome struct {
	cases  int
	differ []string // "NAME: RESULT"
}

// sameAsTable compares what a suite gave with its row in docs/inbound.md, and its differences with the known ones.
func (o outcome) sameAsTable(t *testing.T, suite string, known []difference) {
	t.Helper()
	manual, err := os.ReadFile("../../docs/inbound.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{fmt.Sprintf("| %s | %d | %d | %d |", suite, o.cases, o.cases-len(o.differ), len(o.differ))}
	var expected []string
	for _, d := range known {
		expected = append(expected, d.name+": "+d.result)
		rows = append(rows, fmt.Sprintf("| %s | `%s` | %s | %s |", suite, d.name, d.result, d.reason))
	}
	slices.Sort(expected)
	slices.Sort(o.differ)
	if !slices.Equal(expected, o.differ) {
		t.Errorf("differences:\n%s\nknown:\n%s", strings.Join(o.differ, "\n"), strings.Join(expected, "\n"))
	}
	for _, row := range rows {
		if !strings.Contains(string(manual), "\n"+row+"\n") {
			t.Errorf("docs/inbound.md has no row\n%s", row)
		}
	}
}

// documents reads each document of a YAML file.
func documents[T any](t *testing.T, file string) (all []T) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := yaml.NewDecoder(f); ; {
		var one T
		switch err := d.Decode(&one); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, one)
	}
}

// texts is one text or a list of them.
type texts []string

func (s *texts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*s = texts{node.Value}
		return nil
	}
	return node.Decode((*[]string)(s))
}

// Reasons of differences.
const (
	noSlash      = "the library allows no `/` in a domain; no host has such a name"
	noBlank      = "Go's resolver does not ask for names with blanks or `%` in them"
	oneLabel     = "the record names a domain of one label, which is a syntax error (RFC 7208 section 12)"
	noPostmaster = "the library does not put `postmaster` in place of an empty local part"
	obsolete     = "the modifier `default=` is older than the RFC, which ignores it"
	failedChain  = "the suite expects no result for a chain that says `cv=fail` itself"
)

// spfScenario is a part of an SPF suite: cases, and what DNS says to them.
type spfScenario struct {
	Tests map[string]struct {
		Helo, Host string
		MailFrom   string `yaml:"mailfrom"`
		Result     texts
	}
	Zone map[string][]yaml.Node `yaml:"zonedata"`
}

// TestSuiteOfRFC7208 runs the suites that the SPF library brings along.
func TestSuiteOfRFC7208(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []struct {
		name, file string
		known      []difference
	}{
		{"RFC 7208", "rfc7208-tests.yml", []difference{
			{"a-colon-domain", PermError, noSlash}, {"a-colon-domain-ip4mapped", PermError, noSlash},
			{"mx-colon-domain", PermError, noSlash}, {"mx-colon-domain-ip4mapped", PermError, noSlash},
			{"macro-mania-in-domain", Fail, noBlank},
			{"p-macro-multiple", "neutral", "the library expands `%{p}` to `unknown`, as RFC 7208 section 7.3 advises"},
		}},
		{"SPF library", "blitirispf-tests.yml", []difference{
			{"lookup-limit-at-10", PermError, oneLabel}, {"lookup-limit-at-10-matches", PermError, oneLabel},
			{"mx-resolution-10-terms", PermError, oneLabel}, {"resolution-with-10-lookups", PermError, oneLabel},
			{"void-limit-at-2", PermError, oneLabel},
			{"macro-upper-escape", Fail, noBlank},
			{"macro-empty-parts", Pass, "the library drops empty parts of a macro"},
			{"macro-postmaster-empty-local", Fail, noPostmaster}, {"macro-postmaster-null-sender", Fail, noPostmaster},
			{"macro-truncation", Fail, "the library does not shorten names of more than 253 characters"},
		}},
		{"pyspf", "pyspf-tests.yml", []difference{
			{"default-modifier", "neutral", obsolete}, {"default-modifier-harsh", "neutral", obsolete},
		}},
	} {
		t.Run(suite.name, func(t *testing.T) {
			t.Parallel()
			var o outcome
			for _, s := range documents[spfScenario](t, filepath.Join(strings.TrimSpace(string(out)), "testdata", suite.file)) {
				s.run(t, &o)
			}
			o.sameAsTable(t, suite.name, suite.known)
		})
	}
}

func (s spfScenario) run(t *testing.T, o *outcome) {
	d := server.StartDNS(t)
	for name, records := range s.Zone {
		fillZone(t, d, name, records)
	}
	for name, c := range s.Tests {
		client, err := netip.ParseAddr(c.Host)
		if err != nil {
			t.Fatal(err)
		}
		v := New(NewResolver(d.Addr), Options{Methods: []string{"spf"}})
		e := Evidence{SPF: None}
		v.spf(v.resolver.query(context.Background()), Message{Client: client, HELO: c.Helo, MailFrom: c.MailFrom}, &e, true)
		if o.cases++; !slices.Contains(c.Result, e.SPF) {
			o.differ = append(o.differ, name+": "+e.SPF)
		}
	}
}

// fillZone makes a name server know what a suite says of a name.
func fillZone(t *testing.T, d *server.DNS, name string, records []yaml.Node) {
	t.Helper()
	var spf []texts
	hasTXT, answers, fails := false, false, false
	head := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET}
	}
	txt := func(strings []string) { d.AddRR(&dns.TXT{Hdr: head(dns.TypeTXT), Txt: escaped(strings)}) }
	for _, node := range records {
		var pair map[string]yaml.Node
		if node.Kind == yaml.ScalarNode || node.Decode(&pair) != nil { // TIMEOUT
			fails = true
			continue
		}
		for kind, value := range pair {
			var list texts
			if value.Decode(&list) != nil || len(list) == 0 {
				continue
			}
			switch kind {
			case "SPF":
				spf = append(spf, list)
			case "TXT":
				hasTXT = true
				if answers = list[0] != "NONE"; answers {
					txt(list)
				}
			case "A", "AAAA":
				rr, err := dns.NewRR(fmt.Sprintf("x. %s %s", kind, list[0]))
				if err != nil {
					t.Fatal(err)
				}
				rr.Header().Name = dns.Fqdn(name)
				d.AddRR(rr)
			case "MX":
				d.AddRR(&dns.MX{Hdr: head(dns.TypeMX), Mx: dns.Fqdn(list[1])})
			case "PTR":
				d.AddRR(&dns.PTR{Hdr: head(dns.TypePTR), Ptr: dns.Fqdn(list[0])})
			case "CNAME":
				d.AddRR(&dns.CNAME{Hdr: head(dns.TypeCNAME), Target: dns.Fqdn(list[0])})
			case "TIMEOUT", "SERVFAIL", "CNAMELOOP":
				fails = true
			}
		}
	}
	if fails && !answers { // else only a question for the type SPF would fail, and nobody asks it
		d.Fail(name)
	}
	for _, list := range spf { // the suite writes most TXT records as SPF
		if !hasTXT {
			txt(list)
		}
	}
}

// escaped writes strings as zone files do.
func escaped(all []string) (out []string) {
	for _, s := range all {
		var b strings.Builder
		for n := range len(s) {
			fmt.Fprintf(&b, "\\%03d", s[n])
		}
		out = append(out, b.String())
	}
	return out
}

// arcScenario is a part of the ARC suite.
type arcScenario struct {
	Tests   yaml.Node         // by name; some names are there twice, for other cases
	Records map[string]string `yaml:"txt-records"`
}

type arcCase struct{ Message, CV string }

// TestSuiteOfARC runs the validation cases of a copy of github.com/ValiMail/arc_test_suite; "make suites" gets one.
func TestSuiteOfARC(t *testing.T) {
	folder := os.Getenv("ARC_TEST_SUITE")
	if folder == "" {
		t.Skip("ARC_TEST_SUITE names no copy of the suite: run make suites")
	}
	var o outcome
	for _, s := range documents[arcScenario](t, filepath.Join(folder, "tests", "arc-draft-validation-tests.yml")) {
		d := server.StartDNS(t)
		for name, record := range s.Records {
			head := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET}
			d.AddRR(&dns.TXT{Hdr: head, Txt: pieces(record)})
		}
		v := New(NewResolver(d.Addr), Options{Sealers: []string{"example.org"}})
		for n := 0; n < len(s.Tests.Content); n += 2 {
			var c arcCase
			if err := s.Tests.Content[n+1].Decode(&c); err != nil {
				t.Fatal(err)
			}
			name := s.Tests.Content[n].Value
			m := parted(strings.ReplaceAll(c.Message, "\n", "\r\n"))
			got := v.chainValidity(m)
			if o.cases++; !strings.EqualFold(got, c.CV) {
				o.differ = append(o.differ, name+": "+got)
			}
		}
	}
	o.sameAsTable(t, "ARC", []difference{
		{"ams_as_diff_s_d", Fail, "the newest signature must be of the domain whose seal is believed"},
		{"ams_fields_c_na", Fail,
			"the case is signed in relaxed form without `c=`, which means simple (RFC 6376 section 3.5)"},
		{"ams_fields_h_empty", Fail, "a signature that does not cover From proves nothing about it"},
		{"cv_fail_i1_as_cv_fail", Fail, failedChain}, {"cv_fail_i2_as1_fail", Fail, failedChain},
		{"cv_fail_i2_as2_fail", Fail, failedChain},
	})
}

// chainValidity is what arc finds of the chain, whoever its sealer is.
func (v *Verifier) chainValidity(m Message) string {
	all, err := readChain(m.Header)
	if err == nil && len(all) > 0 {
		err = v.resolver.query(context.Background()).intact(all, m)
	}
	switch {
	case err != nil:
		return Fail
	case len(all) == 0:
		return None
	}
	return Pass
}

// pieces splits a record into strings of at most 250 bytes.
func pieces(record string) (all []string) {
	for ; len(record) > 250; record = record[250:] {
		all = append(all, record[:250])
	}
	return escaped(append(all, record))
}

package cancel

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheContractsCheckVector(t *testing.T) {
	key := Key([]byte("ExampleSecret"), "", "<12345@mid.example>")
	if want := "sha256:qv1VXHYiCGjkX/N1nhfYKcAeUn8bCVhrWhoKuBSnpMA="; key.String() != want {
		t.Errorf("key %s, want %s", key, want)
	}
	if want := "sha256:s/pmK/3grrz++29ce2/mQydzJuc7iqHn1nqcJiQTPMc="; Lock(key).String() != want {
		t.Errorf("lock %s, want %s", Lock(key), want)
	}
}

func TestAKeyOpensItsOwnLockOnly(t *testing.T) {
	secret := []byte("secret")
	key, other := Key(secret, "", "<1@corp.test>"), Key(secret, "", "<2@corp.test>")
	text := base64.StdEncoding.EncodeToString([]byte("any key"))
	sum := sha256.Sum256([]byte(text))
	for name, c := range map[string]struct {
		keys, locks []Element
		want        bool
	}{
		"its own":         {[]Element{key}, []Element{Lock(key)}, true},
		"one of several":  {[]Element{other, key}, []Element{{"sha1", "eA=="}, Lock(key)}, true},
		"sha512":          {[]Element{{"sha512", text}}, []Element{Lock(Element{"sha512", text})}, true},
		"another message": {[]Element{other}, []Element{Lock(key)}, false},
		"another secret":  {[]Element{Key([]byte("guess"), "", "<1@corp.test>")}, []Element{Lock(key)}, false},
		"the lock itself": {[]Element{Lock(key)}, []Element{Lock(key)}, false},
		"scheme renamed": {[]Element{{"sha512", text}},
			[]Element{{"sha256", base64.StdEncoding.EncodeToString(sum[:])}}, false},
		"weak scheme":            {[]Element{{"sha1", text}}, []Element{{"sha1", text}}, false},
		"unknown scheme, empty":  {[]Element{{"md9", text}}, []Element{{"md9", ""}}, false},
		"no lock on the message": {[]Element{key}, nil, false},
	} {
		if got := Opens(c.keys, c.locks); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestFieldsAreReadToTheLetter(t *testing.T) {
	ab := []Element{{"sha256", "YQ=="}, {"sha512", "Yg=="}}
	for field, want := range map[string][]Element{
		"sha256:YQ==":                                    ab[:1],
		" SHA256:YQ==\r\n sha512:Yg== ":                  ab,
		"(of (two) \\) \xff)sha256:YQ==(x)\tsha512:Yg==": ab,
		"":                        nil,
		"(only a comment)":        nil,
		"(open sha256:YQ==":       nil,
		"sha256":                  nil,
		"sha256:":                 nil,
		":YQ==":                   nil,
		"sha256:YQ":               nil,
		"sha256:YR==":             nil, // stray bits: two texts for one value
		"sha256:Y Q==":            nil,
		"sha256:YQ==,sha512:Yg==": nil,
		"sha256:YQ==\x00":         nil,
		strings.Repeat("sha256:YQ== ", maxElements+1):         nil,
		strings.Repeat("(", 9) + strings.Repeat(")", 9):       nil,
		"sha256:YQ== (" + strings.Repeat("x", maxField) + ")": nil,
	} {
		got, err := Parse(field)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%.60q: %v %s", field, err, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("sha256:YQ== (c) sha512:Yg==")
	f.Add("((\\)sha256:=")
	f.Fuzz(func(t *testing.T, field string) {
		elements, err := Parse(field)
		if err != nil {
			return
		}
		var again []string
		for _, e := range elements {
			again = append(again, e.String())
		}
		if got, err := Parse(strings.Join(again, " ")); err != nil || !cmp.Equal(got, elements) {
			t.Errorf("%q became %v, %v", again, got, err)
		}
	})
}

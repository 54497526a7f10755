package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/test/server"
)

// OpenDKIM signs before the hold, simple/simple: one byte that a hold changed would break the signature.
func TestSignaturesMadeBeforeTheHoldStayValid(t *testing.T) {
	t.Parallel()
	signer := server.StartOpenDKIM(t, "corp.test")
	g := startGatewayWith(t, "1s", func(milter, nextHop string) mta {
		return ofPostfix(server.StartPostfix(t, signer.Milter+", inet:"+milter, nextHop))
	})
	names := []string{"folded by tabs", "trailing blanks", "8-bit body", "lone dots", "bare CR", "CRCRLF",
		"empty lines at the end",
		// no line over 998: Postfix itself breaks those when it delivers
		"empty body", "duplicates in order", "folded by blanks", "blank at a body line's end", "UTF-8 header"}
	for n, name := range names {
		g.must(submit(g.mta.smtp, "a@corp.test", fmt.Sprintf("dkim%d@x.test", n), hostile[name]))
	}
	for n, name := range names {
		var got []string
		server.Eventually(t, name+" arrives",
			func() bool { got = g.to(fmt.Sprintf("dkim%d@x.test", n)); return len(got) == 1 })
		if err := verified(got[0], signer); err != nil {
			t.Errorf("%s: %v\n%.2000q", name, err, got[0])
		}
	}
	got := g.to("dkim0@x.test")[0]
	for what, changed := range map[string]string{
		"a blank in the body":  strings.Replace(got, "\r\nbody", "\r\nbody ", 1),
		"a fold of the header": strings.Replace(got, "\r\n\ttwo", "\r\n two", 1),
	} {
		if changed == got || verified(changed, signer) == nil {
			t.Errorf("%s is not noticed: this test could not fail", what)
		}
	}
}

// verified checks the one signature of a message.
func verified(message string, signer *server.OpenDKIM) error {
	all, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "s1._domainkey.corp.test" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			return []string{signer.Record}, nil
		}})
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("%d signatures", len(all))
	}
	return all[0].Err
}

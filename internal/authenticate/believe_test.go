package authenticate

import (
	"context"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/policy"
)

// header makes fields of lines "Name: value".
func header(lines ...string) (all []policy.Field) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		all = append(all, policy.Field{Name: name, Value: value})
	}
	return all
}

const genuine = "DKIM-Signature: v=1; a=rsa-sha256; bh=AAAA; d=p.test; s=s1; h=From : Subject:\r\n\tContent-Type; " +
	"b=ABC\r\n\tdefgh"

// What an earlier milter found is believed with the queue ID of this message only, and what it means must be sure.
func TestEarlierMiltersAreBelieved(t *testing.T) {
	const ok = "Authentication-Results: MX.test/Q1; dkim=pass header.d=p.test header.b=abcdefg"
	const dmarc = "Authentication-Results: mx.test/Q1; dmarc=pass header.from=p.test"
	sub := strings.NewReplacer("d=p.test", "d=mail.p.test")
	for _, test := range []struct {
		name    string
		header  []string
		by, why string // why is part of Why where nothing counts
	}{
		{"a signature", []string{ok, genuine}, "dkim=p.test", ""},
		{"of a subdomain", []string{sub.Replace(ok), sub.Replace(genuine)}, "", "dkim=pass mail.p.test"},
		{"of a subdomain that the record allows", []string{dmarc, sub.Replace(ok), sub.Replace(genuine)}, "dkim=mail.p.test",
			""},
		{"dmarc says no", []string{strings.Replace(dmarc, "pass", "fail", 1), ok, genuine}, "", "dkim=pass"},
		{"dmarc of another From",
			[]string{strings.Replace(dmarc, "p.test", "q.test", 1), sub.Replace(ok), sub.Replace(genuine)}, "", "mail.p.test"},
		{"dmarc alone", []string{dmarc}, "", "no DKIM signature"},
		{"spf", []string{"Authentication-Results: mx.test/Q1; spf=pass smtp.mailfrom=anna@p.test"}, "spf=p.test", ""},
		{"spf of another envelope sender", []string{"Authentication-Results: mx.test/Q1; spf=pass smtp.mailfrom=q.test"}, "",
			"spf=none"},
		{"bare", []string{strings.Replace(ok, "/Q1", "", 1), genuine}, "", "no DKIM signature"},
		{"another queue ID", []string{strings.Replace(ok, "Q1", "Q2", 1), genuine}, "", "with another queue ID"},
		{"queue ID in another case", []string{strings.Replace(ok, "Q1", "q1", 1), genuine}, "", "with another queue ID"},
		{"one that guessed wrong", []string{ok, strings.Replace(ok, "Q1", "Q2", 1), genuine}, "", "with another queue ID"},
		{"two fields for one method", []string{ok, ok, genuine}, "", "two fields claim"},
		{"another name", []string{strings.Replace(ok, "MX", "other", 1), genuine}, "", "no DKIM signature"},
		{"in doubt", []string{ok + "(x", genuine}, "", "without doubt"},
		{"no such signature", []string{ok}, "", "does not cover this message"},
		{"another signature", []string{ok, strings.Replace(genuine, "ABC", "XYZ", 1)}, "", "does not cover this message"},
		{"Content-Type not covered", []string{ok, strings.Replace(genuine, "Content-Type", "Date", 1)}, "",
			"does not cover Content-Type"},
		{"l= tag", []string{ok, genuine + "; l=10"}, "", "does not cover the whole body"},
		{"another that looks like it", []string{ok, genuine, strings.Replace(genuine, "Subject", "Date", 1)}, "",
			"does not cover Subject"},
		{"one that can't be read", []string{ok, genuine, "DKIM-Signature: d=p.test; d=p.test"}, "",
			"does not cover any field"},
		{"fail", []string{strings.Replace(ok, "pass", "fail", 1), genuine}, "", "dkim=fail p.test"},
		{"folded, oddly cased",
			[]string{"AUTHENTICATION-results :\r\n\t(c) mx.test/Q1\r\n\t1;\r\n\tDKIM=Pass (c)\r\n\theader.d=P.test", genuine},
			"dkim=p.test", ""},
	} {
		v := New(NewResolver("127.0.0.1:1"), Options{Trust: []string{"mx.test"}})
		e := v.Check(context.Background(), Message{MailFrom: "anna@p.test", From: "p.test", QueueID: "Q1",
			Header: header(test.header...), Cover: []string{"Subject", "Content-Type"}})
		counts := e.Aligned && e.Bare == ""
		if counts != (test.by != "") || counts && e.By != test.by || !strings.Contains(e.Why(), test.why) {
			t.Errorf("%s: %+v\n%s", test.name, e, e.Why())
		}
	}
}

func TestNobodyIsBelievedWithoutAQueueID(t *testing.T) {
	v := New(NewResolver("127.0.0.1:1"), Options{Trust: []string{"mx.test"}})
	e := v.Check(context.Background(),
		Message{From: "p.test", Header: header("Authentication-Results: mx.test/; dkim=pass header.d=p.test", genuine)})
	if e.Aligned || v.Vouched("mx.test/", "") || !v.Vouched("MX.test/Q", "Q") {
		t.Errorf("%+v", e)
	}
}

func TestATemporaryErrorOfAnEarlierMilterIsOurs(t *testing.T) {
	v := New(NewResolver("127.0.0.1:1"), Options{Trust: []string{"mx.test"}})
	e := v.Check(context.Background(), Message{From: "p.test", QueueID: "Q",
		Header: header("Authentication-Results: mx.test/Q; dkim=temperror header.d=p.test", genuine)})
	if !e.Temporary || e.Aligned {
		t.Errorf("%+v", e)
	}
}

// About such signatures OpenDKIM says nothing, so a guessed queue ID would have no field of its own next to it.
func TestSignaturesOfWhichOpenDKIMIsSilentProveNothing(t *testing.T) {
	v := New(NewResolver("127.0.0.1:1"), Options{Trust: []string{"mx.test"}})
	const ok = "Authentication-Results: mx.test/Q1; dkim=pass header.d=p.test header.b=abcdefg"
	check := func(signature string) Evidence {
		return v.Check(context.Background(), Message{From: "p.test", QueueID: "Q1", Header: header(ok, signature)})
	}
	for _, more := range []string{"", ";", "; t=5; x=99999999999", "; z=a=b", "; z=", "; q=dns/txt; i=@p.test"} {
		if e := check(genuine + more); !e.Aligned || e.Bare != "" {
			t.Errorf("%q: %+v", more, e)
		}
	}
	for _, silent := range []string{genuine + "; \xff=x", genuine + "; z=\xff", genuine + "; z=\x01", genuine + ";;",
		genuine + "; ; z=1", genuine + "; =x",
		genuine + "; z=\x7f", genuine + "; a b=x", genuine + "; -=x", genuine + "; t=abc", genuine + "; x=-5",
		strings.Replace(genuine, "v=1; ", "", 1),
		strings.Replace(genuine, "s=s1", "s=/../x", 1), strings.Replace(genuine, "v=1", ";v=1", 1),
		strings.Replace(genuine, "bh=", "BH=", 1), genuine + "; xx"} {
		if e := check(silent); e.Aligned && e.Bare == "" {
			t.Errorf("%q counts", silent)
		}
	}
}

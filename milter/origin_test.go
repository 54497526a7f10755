package milter

import (
	"testing"

	"github.com/recall-milter/recall-milter/policy"
)

const (
	fromOutside = " from mail.other.test (mail.other.test [192.0.2.7])\r\n\tby gw.corp.test (Postfix) with ESMTPS id " +
		"4XYZ\r\n\tfor <b@corp.test>; Tue, 24 Nov 2026 09:00:00 +0000"
	fromFilter = " from gw.corp.test ([127.0.0.1])\r\n\tby localhost (gw.corp.test [127.0.0.1]) (amavisd-new, port " +
		"10024)\r\n\twith ESMTP id abc; Tue, 24 Nov 2026 09:00:00 +0000"
)

func TestWhereAMessageOnLoopbackCameFrom(t *testing.T) {
	for name, c := range map[string]struct {
		trace []string
		want  string // "": it is what a client on this machine submits
	}{
		"nothing":       {nil, ""},
		"from a filter": {[]string{fromFilter, fromOutside}, "192.0.2.7"},
		"from a proxy":  {[]string{fromOutside}, "192.0.2.7"},
		"by Sendmail, IPv6": {[]string{" from m.test (m.test [IPv6:2001:db8::7])\r\n\tby GW.corp.test (8.17.1/8.17.1) " +
			"with ESMTP id 1; Tue"},
			"2001:db8::7"},
		"through two filters": {[]string{" from localhost (localhost [127.0.0.1])\r\n\tby gw.corp.test (Postfix) with " +
			"ESMTP id 2; Tue", fromFilter,
			fromOutside}, "192.0.2.7"},
		"by fetchmail": {[]string{" from pop.other.test [192.0.2.9]\r\n\tby gw.corp.test with POP3 " +
			"(fetchmail-6.4.37)\r\n\tfor <b@localhost> (single-drop); Tue"}, "192.0.2.9"},
		"of a user of ours": {[]string{" from laptop (dsl [198.51.100.3])\r\n\tby gw.corp.test (Postfix) with ESMTPSA id " +
			"3; Tue", fromOutside},
			""},
		"of a user, named": {[]string{" from laptop (dsl [198.51.100.3])\r\n\t(Authenticated sender: a)\r\n\tby " +
			"gw.corp.test (Postfix) with ESMTP id 3; Tue"}, ""},
		"of a program": {[]string{" by gw.corp.test (Postfix, from userid 0)\r\n\tid 4; Tue",
			" from x (x [192.0.2.1]) by other.test with ESMTP id 5; Tue"}, ""},
		"of a web application": {[]string{" from [198.51.100.3]\r\n\tby www.corp.test with HTTP (HTTP/1.1 POST); Tue"}, ""},
		"of a network of ours": {[]string{" from pc (pc [10.0.0.7])\r\n\tby gw.corp.test (Postfix) with ESMTP id 6; Tue"},
			"10.0.0.7"},
		"another host like ours": {[]string{" from x (x [192.0.2.7])\r\n\tby gw.corp.test.evil.test (Postfix) with ESMTP " +
			"id 7; Tue"}, ""},
		"nonsense": {[]string{" from [::ffff:127.0.0.1] by gw.corp.test", " from [999] by gw.corp.test x",
			"from"}, ""},
	} {
		var fields []policy.Field
		for _, value := range c.trace {
			fields = append(fields, policy.Field{Name: "Received", Value: value})
		}
		got := ""
		if a, ok := origin(fields, "gw.corp.test"); ok {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

package holdstore

import "testing"

func TestSubjects(t *testing.T) {
	for header, want := range map[string]string{
		"Subject: x\r\n": "x",
		"From: a\r\nsubject :\r\n one\r\n\ttwo\r\n":     "one\ttwo",
		"nonsense\r\nX: \x1b[2J\r\nSubject: \x1b[m\r\n": "\x1b[m",
		"Subject: first\r\nSubject: second\r\n":         "first",
		"X-Subject: x\r\nSubjects: y\r\n":               "",
		"Subject: =?utf-8?q?f=C3=BCr?= alle\r\n":        "für alle",
		"Subject: =?gb2312?B?s7e72A==?=: x\r\n":         "撤回: x",
		"Subject: =?iso-2022-jp?B?GyRCMkE+PRsoQg==?=":   "価晶",
		"Subject: =?nocharset?q?x?=\r\n":                "=?nocharset?q?x?=",
		"":                                              "",
	} {
		if got := Subject([]byte(header)); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

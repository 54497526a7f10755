package recall

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/recall/command"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// FuzzMail reads any mail in every way, and checks the bounds of what was found.
func FuzzMail(f *testing.F) {
	r := outlook.Recall{From: "a@x.test", To: "b@x.test", Subject: "价格表", Prefix: "撤回:", Charset: "gb2312"}
	for _, seed := range []string{r.FormA(), r.FormB(),
		"Subject: RECALL LAST ONLY b@x.test\r\nReferences: <a@b> <c@d>\r\n\r\nonly: x\r\n> Message-ID: <a@b>\r\n",
		"Subject: =?iso-2022-jp?B?GyRCMUE=?=\r\nContent-Type: multipart/a; boundary=b\r\n\r\n--b\r\nContent-Type: " +
			"message/rfc822\r\n\r\nMessage-ID: <a@b>\r\n\r\n--b--\r\n"} {
		f.Add(seed)
	}
	d := &Desk{o: Options{Outlook: true, Supersedes: true, SubjectPrefixes: []string{"Recall:", "撤回:"}}}
	f.Fuzz(func(t *testing.T, text string) {
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		m := &Mail{Message: mailmsg.Message{Body: []byte(body)}}
		for _, line := range strings.Split(head, "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			m.Fields = append(m.Fields, policy.Field{Name: name, Value: value})
		}
		if found := command.Read(&m.Message, nil); len(found.Refs) > command.MaxRefs+1 ||
			strings.ContainsAny(strings.Join(found.Refs, ""), "\r\n") {
			t.Errorf("%+v", found)
		}
		d.recalls().Subjects(&m.Message)
		d.supersedes(m)
		automatic(m)
		if answered := sanitize.HeaderValue(m.Text("Subject")); strings.ContainsAny(answered, "\r\n") {
			t.Errorf("two lines: %q", answered)
		}
	})
}

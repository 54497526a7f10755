package milter

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

// marked is a Received field of release for a message with this body, subject and further fields.
func (r *rig) marked(body, subject string, header ...string) string {
	var d holdstore.BodyDigest
	d.Write([]byte(body))
	var fields []policy.Field
	for _, line := range header {
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, policy.Field{Name: name, Value: value})
	}
	return "Received: by gw.corp.test (Recall Milter) with ESMTP id " +
		r.Mark.Stamp("7K3MPQ2A9BCDE", mark.Content(d.Sum(), fields), subject) + "; Tue, 24 Nov 2026 09:00:00 +0000"
}

// passesOurs is holdAll that knows a mark.
func passesOurs(f policy.Facts) policy.Verdict {
	if f.Ours {
		return policy.Verdict{Certain: true, Reason: policy.Reason{Code: policy.OwnMail, Text: "released by a gateway"}}
	}
	v := holdAll(f)
	v.Outbound = f.Sender != ""
	return v
}

// What the MTA does behind the re-injection port changes envelope and header, and a message that comes by a port with
// milters again is not held again. Nobody gets another message past the hold with a mark that came with their own.
func TestAMarkVouchesForBodyAndSubjectWhateverBecameOfTheRest(t *testing.T) {
	const body = "the body of it\r\n"
	for name, c := range map[string]struct {
		sender, to, mark, body string
		fields                 []string
		want                   byte
	}{
		"as it was": {"a@corp.test", "b@x.test", body, body,
			[]string{"Message-ID: <1@corp.test>", "Subject: x"}, 'a'},
		"sender rewritten (SRS)": {"SRS0=x=y=corp.test=a@gw.test", "b@x.test", body, body,
			[]string{"Message-ID: <1@corp.test>", "Subject: x"}, 'a'},
		"recipient mapped": {"a@corp.test", "c@y.test", body, body,
			[]string{"Message-ID: <1@corp.test>", "Subject: x"}, 'a'},
		"fields changed by a filter": {"a@corp.test", "b@x.test", body, body,
			[]string{"Message-ID: <2@filter.test>", "Subject: [checked] x"}, 'a'},
		"a tag behind, encoded": {"a@corp.test", "b@x.test", body, body,
			[]string{"Subject: =?utf-8?q?x_[sp=C3=A4m]?="}, 'a'},
		"another subject": {"a@corp.test", "b@x.test", body, body, []string{"Subject: y"}, 'd'},
		"no subject":      {"a@corp.test", "b@x.test", body, body, nil, 'd'},
		"more than a tag": {"a@corp.test", "b@x.test", body, body, []string{"Subject: this is what I mean by x"},
			'd'},
		"blanks changed by a relay": {"a@corp.test", "b@x.test", body, "the body \r\n of it\r\n\r\n",
			[]string{"Subject: x"}, 'a'},
		"another text": {"a@corp.test", "b@x.test", body, "another text\r\n",
			[]string{"Message-ID: <1@corp.test>", "Subject: x"}, 'd'},
		"another text before the same": {"a@corp.test", "b@x.test", body, "x" + body,
			[]string{"Message-ID: <1@corp.test>", "Subject: x"}, 'd'},
		"no text": {"a@corp.test", "b@x.test", body, "",
			[]string{"Message-ID: <1@corp.test>", "Subject: x"}, 'd'},
	} {
		bubble(t, func(r *rig) {
			r.Policy = func() Policy { return verdicts(passesOurs) }
			m := r.mta()
			m.begin(c.sender, c.to)
			m.header('c', append([]string{r.marked(c.mark, "x")}, c.fields...)...)
			if c.body != "" {
				m.ask('B', c.body[:len(c.body)/2], 'c')
			}
			m.ask('E', c.body[len(c.body)/2:], c.want)
			if held := len(r.store.holds) > 0; held != (c.want == 'd') {
				t.Errorf("%s: held %v", name, held)
			}
		})
	}
}

// With another boundary, charset or transfer encoding the same bytes are another text to whoever reads it.
func TestAMarkVouchesForWhatAReaderSees(t *testing.T) {
	const body = "--A\r\n\r\nfine\r\n--A--\r\n--B\r\n\r\nsecret\r\n--B--\r\n"
	mime := []string{"MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="A"`}
	for name, c := range map[string]struct {
		header []string
		want   byte
	}{
		"as it was": {mime, 'a'},
		"folded anew": {[]string{"Mime-Version:1.0", "Content-type:  multipart/mixed;\r\n\tboundary=\"A\""},
			'a'},
		"among others":                 {append([]string{"X-Spam: no", "Content-Language: de"}, mime...), 'a'},
		"another boundary":             {[]string{"MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="B"`}, 'd'},
		"a second Content-Type before": {append([]string{`Content-Type: multipart/mixed; boundary="B"`}, mime...), 'd'},
		"a second Content-Type behind": {append(mime[:2:2], `Content-Type: text/html`), 'd'},
		"no Content-Type":              {mime[:1], 'd'},
		"no MIME-Version":              {mime[1:], 'd'},
		"a transfer encoding":          {append(mime[:2:2], "Content-Transfer-Encoding: base64"), 'd'},
		"a charset":                    {[]string{mime[0], mime[1] + "; charset=utf-16le"}, 'd'},
		"an attachment":                {append(mime[:2:2], "Content-Disposition: attachment; filename=x.html"), 'd'},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.Policy = func() Policy { return verdicts(passesOurs) }
				m := r.mta()
				m.begin("a@corp.test", "b@x.test")
				m.header('c', append([]string{r.marked(body, "x", mime...), "Subject: x"}, c.header...)...)
				m.ask('E', body, c.want)
			})
		})
	}
}

// Whoever logs in and sends their own message again is not a filter that brings it back.
func TestAMarkDoesNotServeItsOwnSenderAgain(t *testing.T) {
	for login, want := range map[string]byte{"": 'a', "anna": 'd', "ANNA": 'd', "filter": 'a'} {
		t.Run("by "+login, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.Policy = func() Policy { return verdicts(passesOurs) }
				r.Left = func(context.Context, string) (time.Time, string, error) { return time.Now(), "anna", nil }
				m := r.mta()
				m.send('D', "M", "{auth_authen}", login)
				m.begin("a@corp.test", "b@x.test")
				m.header('c', r.marked("text\r\n", "x"), "Subject: x")
				m.ask('E', "text\r\n", want)
			})
		})
	}
}

// A command that was obeyed and sent on, to other recipients, is not obeyed again when it comes back.
func TestAReleasedCommandIsNotObeyedAgain(t *testing.T) {
	withClerk(t, func(r *rig, c *clerk) {
		r.Policy = func() Policy { return verdicts(passesOurs) }
		c.disposition = func(m *recall.Mail) (recall.Disposition, error) {
			return recall.Disposition{Keep: m.Recipients},
				nil
		}
		for n, body := range []string{"recall it\r\n", "recall something else\r\n"} {
			m := r.mta()
			m.begin("a@corp.test", "b@x.test")
			m.header('c', r.marked("recall it\r\n", ""), "X-Command: yes")
			m.ask('B', body, 'c')
			if m.ask('E', "", "ad"[n]); len(c.got) != n {
				t.Errorf("%q: obeyed %d times", body, len(c.got))
			}
		}
	})
}

// A mark counts while its message has just left, and while nobody can tell.
func TestAMarkCountsForAWhile(t *testing.T) {
	for name, c := range map[string]struct {
		ago  time.Duration
		err  error
		want byte
	}{
		"it has just left":  {time.Minute, nil, 'a'},
		"long ago":          {markTime + time.Minute, nil, 'd'},
		"nobody knows it":   {0, fmt.Errorf("gone: %w", holdstore.ErrNotFound), 'd'},
		"the store is away": {0, holdstore.ErrUnavailable, 'a'},
	} {
		bubble(t, func(r *rig) {
			r.Policy = func() Policy { return verdicts(passesOurs) }
			r.Left = func(_ context.Context, id string) (time.Time, string, error) {
				if id != "7K3MPQ2A9BCDE" {
					t.Errorf("%s: asked about %s", name, id)
				}
				return time.Now().Add(-c.ago), "anna", c.err
			}
			m := r.mta()
			m.begin("a@corp.test", "b@x.test")
			m.header('c', r.marked("text\r\n", "x"), "Subject: x")
			m.ask('E', "text\r\n", c.want)
		})
	}
}

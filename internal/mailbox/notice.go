package mailbox

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

//go:embed mailbox-notice.txt
var ourNotice string

// noticeFile is the name of a site's own text. The first line is the subject.
const noticeFile = "mailbox-notice.txt"

// words are what a notice can say.
type words struct{ From, Received string }

func readNotice(folder string) (*template.Template, error) {
	text, file := ourNotice, filepath.Join(folder, noticeFile)
	if folder != "" {
		own, err := os.ReadFile(file)
		if err == nil {
			text = string(own)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("text of the notice: %w", err)
		}
	}
	t, err := template.New(noticeFile).Parse(text)
	if err == nil {
		err = t.Execute(&bytes.Buffer{}, words{})
	}
	if err != nil {
		return nil, fmt.Errorf("text of the notice: %s: %w", file, err)
	}
	return t, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// noticeFrom signs: the recipient's own site speaks, not who sent the message.
func noticeFrom(t Target) string { return "postmaster@" + domainOf(t.Recipient) }

// noticeID is the same for every try, so that a second one finds the notice of the first.
func noticeID(t Target) string {
	sum := sha256.Sum256([]byte(t.MessageID + "\n" + holdstore.Fold(t.From) + "\n" + holdstore.Fold(t.Recipient)))
	return "<recalled." + hex.EncodeToString(sum[:16]) + "@" + domainOf(t.Recipient) + ">"
}

// replace puts a notice next to a copy that is about to go, unless an earlier try did.
func (o *box) replace(t Target, c found) error {
	there, err := o.propose(Target{MessageID: noticeID(t)}, maxCopies)
	if err != nil || len(there) > 0 {
		return err
	}
	text, err := o.s.writeNotice(t)
	if err != nil {
		return err
	}
	at := t.Received
	if at.IsZero() {
		at = time.Now()
	}
	return o.do(func() error { return o.append(c.folder.name, text, at) })
}

// append puts a mail into a folder, as if it had come at a moment.
func (o *box) append(folder string, text []byte, at time.Time) error {
	a := o.Append(folder, int64(len(text)), &imap.AppendOptions{Time: at})
	_, err := a.Write(text)
	if ended := a.Close(); err == nil {
		err = ended
	}
	if _, said := a.Wait(); said != nil { // why the server did not want it
		return said
	}
	return err
}

// writeNotice writes the mail that stands in place of a recalled one.
func (b *IMAP) writeNotice(t Target) ([]byte, error) {
	received := "lately"
	if !t.Received.IsZero() {
		local := time.Time.Local
		if b.p.Clock != nil {
			local = b.p.Clock
		}
		received = local(t.Received).Format("2 January 2006, 15:04 MST")
	}
	from, text := t.From, bytes.Buffer{}
	if address, err := mailmsg.Address(from); err != nil || address != from { // words in place of a name
		from = "an author at " + domainOf(from)
	}
	if err := b.notice.Execute(&text, words{from, received}); err != nil {
		return nil, err
	}
	subject, body, _ := strings.Cut(strings.ReplaceAll(strings.ToValidUTF8(text.String(), "?"), "\r", ""), "\n")
	subject = strings.ReplaceAll(mailmsg.Encode(strings.TrimSpace(subject)), "\r", "")
	var m bytes.Buffer
	fmt.Fprintf(&m, "Received: by recall-milter; %[1]s\nDate: %[1]s\nFrom: <%[2]s>\nTo: <%[3]s>\nMessage-ID: "+
		"%[4]s\nSubject: %[5]s\n"+
		"Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; "+
		"charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%[6]s\n",
		time.Now().Format(time.RFC1123Z), noticeFrom(t), t.Recipient, noticeID(t), subject, strings.TrimSpace(body))
	return bytes.ReplaceAll(m.Bytes(), []byte("\n"), []byte("\r\n")), nil
}

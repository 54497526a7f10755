package recall

import (
	"context"
	"crypto/rand"
	"mime"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// send puts a mail of ours to the sender of m into the store, to be released at once. It has a part for programs
// unless status is empty, and belongs to the thread of the given Message-ID.
func (d *Desk) send(ctx context.Context, m *Mail, text string, l letter, status, thread string) error {
	subject, body, err := d.o.Texts.write(text, l)
	if err != nil {
		return err
	}
	host := oneLine(m.Gateway)
	if host == "" {
		host = "localhost"
	}
	from := d.address()
	if from == "" {
		from = "MAILER-DAEMON@" + host
	}
	id := "<recall." + rand.Text() + "@" + host + ">"
	header := "From: Message recall <" + from + ">\r\nTo: <" + oneLine(m.Sender.Address) + ">\r\n" +
		"Subject: " + encodedWords(subject) + "\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMessage-ID: " + id + "\r\n" +
		inReply(thread) + "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	more, content := multipartReport(body, status)
	sub := holdstore.Submission{MessageID: id, Subject: encodedWords(subject), Gateway: m.Gateway,
		Sender:     holdstore.Path{Args: []string{"BODY=8BITMIME"}},
		Recipients: []holdstore.Path{{Address: m.Sender.Address}}}
	if strings.ContainsFunc(m.Sender.Address, func(r rune) bool { return r >= 0x80 }) {
		sub.Sender.Args = append(sub.Sender.Args, "SMTPUTF8")
	}
	put := d.store.Put(sub, []byte(header+more))
	if err := put.Write(ctx, []byte(content)); err != nil {
		put.Abandon()
		return err
	}
	_, err = put.Commit(ctx, holdstore.Terms{Rule: holdstore.RuleOwn})
	return err
}

// multipartReport writes the fields and the body of a report (RFC 6522), or of plain text when status is empty.
func multipartReport(body, status string) (header, content string) {
	const plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	if status == "" {
		return plain, body
	}
	boundary := rand.Text()
	header = "Content-Type: multipart/report; report-type=recall-status;\r\n\tboundary=\"" + boundary + "\"\r\n"
	content = "--" + boundary + "\r\n" + plain + "\r\n" + body + "\r\n--" + boundary +
		"\r\nContent-Type: message/recall-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + status + "\r\n--" + boundary + "--\r\n"
	return header, content
}

// inReply puts a mail into a thread.
func inReply(messageID string) string {
	id := bracketed.FindString(messageID)
	if id == "" {
		return ""
	}
	return "In-Reply-To: " + id + "\r\nReferences: " + id + "\r\n"
}

// encodedWords writes a text into a field (RFC 2047), folded.
func encodedWords(text string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", text), "?= =?", "?=\r\n =?")
}

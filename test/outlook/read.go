package outlook

import (
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// Read returns the message of a text whose lines end with CRLF, and whose fields are folded with tabs.
func Read(text string) mailmsg.Message {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	m := mailmsg.Message{Body: []byte(body)}
	for _, line := range strings.Split(strings.ReplaceAll(head, "\r\n\t", " "), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		m.Fields = append(m.Fields, policy.Field{Name: name, Value: value})
	}
	return m
}

package recall

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// A request has the envelope sender of the message that it is about. It is not a message of that sender's, who submits
// by sendmail(1) here and so has neither a login nor a client, as all mails of the gateway.
func TestARequestOfTheGatewayIsNoMessageOfItsSender(t *testing.T) {
	o := newOffice(t)
	local := letterOf{from: "root@corp.test", to: []string{"b@x.test"}, grace: time.Hour, rule: "default"}
	local.text = "From: root@corp.test\r\nSubject: prices\r\nMessage-ID: <1@corp.test>\r\n\r\n"
	id := o.mustSubmit(local)
	h, err := o.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	o.tick()
	request := protocol.Request{ID: strings.Repeat("A", 26), MessageID: h.MessageID, Sender: h.Sender.Address,
		Recipients: []string{"b@x.test"}}
	if err := post.New(o.store, o.o.Texts, "").Request(t.Context(), h, request); err != nil {
		t.Fatal(err)
	}
	command := local
	command.to, command.text = []string{desk}, "From: root@corp.test\r\nSubject: RECALL LAST\r\nMessage-ID: "+
		"<2@corp.test>\r\n\r\n"
	o.tick()
	o.mustSubmit(command)
	if got := o.state(id); got != holdstore.Recalled {
		t.Errorf("LAST means the request: the message is %s", got)
	}
}

//go:build bench

package test

import (
	"fmt"
	"net/smtp"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// TestBenchRecallByMail measures a recall command from its final dot to Postfix's 250, and from there until the store
// says that the message is recalled.
func TestBenchRecallByMail(t *testing.T) {
	const messages = 300
	g := startOffice(t, "20h", `rate = "100000/h"`)
	for n := range messages {
		g.message("anna", fmt.Sprintf("m%d@corp.test", n))
	}
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}})
	g.must(err)
	defer store.Close()
	c, err := smtp.Dial(g.mta.smtp)
	g.must(err)
	defer c.Close()
	g.must(c.Auth(smtp.PlainAuth("", "anna", server.Password, "127.0.0.1")))
	var command, recalled []time.Duration
	for n := range messages {
		g.must(c.Mail("anna@corp.test"))
		g.must(c.Rcpt(recallAddress))
		w, err := c.Data()
		g.must(err)
		fmt.Fprintf(w, "From: anna@corp.test\r\nSubject: RECALL <m%d@corp.test>\r\n\r\n", n)
		start := time.Now()
		g.must(w.Close())
		command = append(command, time.Since(start))
		start = time.Now()
		for {
			holds, err := store.Resolve(t.Context(), fmt.Sprintf("<m%d@corp.test>", n))
			if err == nil && len(holds) == 1 && holds[0].State == holdstore.Recalled {
				break
			}
		}
		recalled = append(recalled, time.Since(start))
	}
	t.Logf("recall by mail, %d held: final dot to 250: p50 %v, p99 %v; 250 to recalled, as seen by one query: p50 %v, "+
		"p99 %v",
		messages, quantile(command, 50), quantile(command, 99), quantile(recalled, 50), quantile(recalled, 99))
}

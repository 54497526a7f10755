//go:build bench

package test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

const mostRemembered = 250 // bytes of Redis for a message that came in

// TestBenchInbound measures what we cost mail that comes in: ordinary mail next to a milter that does nothing, a recall
// command with its checks, and the memory of what came in.
func TestBenchInbound(t *testing.T) {
	server.Program(t, "smtp-source")
	t.Run("ordinary mail", ordinaryMail)
	t.Run("digest", digestedMail)
	t.Run("recall command", checkedCommand)
	t.Run("memory", rememberedMail)
}

// ordinaryMail compares pairs of runs, one right after the other; the median of the ratios counts.
func ordinaryMail(t *testing.T) {
	f := startFrontierWith(t, "", func(_ *server.DNS, milter, nextHop string) mta {
		return ofPostfix(server.StartPostfix(t, milter, nextHop, "defer_transports = smtp",
			"smtpd_client_connection_count_limit = 0", "default_process_limit = 200"))
	})
	idle := server.StartPostfix(t, nothing(t, "accept"), f.sink.Addr, "defer_transports = smtp",
		"smtpd_client_connection_count_limit = 0", "default_process_limit = 200")
	for _, size := range []int{4 << 10, 50 << 10} {
		for _, sessions := range []int{1, 16, 50} {
			messages := map[int]int{1: 60, 16: 400, 50: 600}[sessions]
			var ours, theirs, ratios []float64
			for range 7 {
				a, b := source(t, f.mta.smtp, sessions, messages, size), source(t, idle.SMTP, sessions, messages, size)
				ours, theirs, ratios = append(ours, a), append(theirs, b), append(ratios, a/b)
			}
			t.Logf("%2d KB %2d sessions: recall-milter %.0f/s, a milter that does nothing %.0f/s = %.2f of it", size>>10,
				sessions, median(ours), median(theirs), median(ratios))
		}
	}
}

// digestedMail compares the processor time that the daemon takes for ordinary mail with and without a way into its
// recipients' mailboxes: with one, the body travels to the daemon, which takes a digest of its beginning. Pairs of
// runs, one right after the other; the medians count.
func digestedMail(t *testing.T) {
	world := func(settings string) *frontier {
		return startFrontierWith(t, settings, func(_ *server.DNS, milter, nextHop string) mta {
			return ofPostfix(server.StartPostfix(t, milter, nextHop, "defer_transports = smtp"))
		})
	}
	plain := world("")
	password := filepath.Join(t.TempDir(), "password")
	plain.must(os.WriteFile(password, []byte("secret"), 0o600))
	digested := world("[inbound.mailbox]\nbackend = \"imap\"\nimap = { address = \"127.0.0.1:9\", tls = \"none\", " +
		"master_user = \"recall\", password_file = \"" + password + "\" }\n")
	each := func(f *frontier, messages, size int) float64 { // microseconds of a message
		pids := []int{f.daemon.Process.Pid}
		before := processorTime(t, pids)
		source(t, f.mta.smtp, 4, messages, size)
		return float64(processorTime(t, pids)-before) / float64(messages) / float64(time.Microsecond)
	}
	for _, c := range []struct{ size, messages int }{{4 << 10, 500}, {16 << 10, 500}, {50 << 10, 250}, {1 << 20, 50}} {
		var without, with, more []float64
		for range 5 {
			a, b := each(plain, c.messages, c.size), each(digested, c.messages, c.size)
			without, with, more = append(without, a), append(with, b), append(more, b-a)
		}
		t.Logf("%4d KB: without %.0f µs of the daemon, with %.0f µs; %.0f µs more", c.size>>10, median(without),
			median(with), median(more))
	}
}

// checkedCommand measures from the final dot to the 250 that vouches for a recall, and what of it is the plain mail.
func checkedCommand(t *testing.T) {
	f := startFrontier(t, "[inbound.recall]\nrate = \"100000/h\"\n")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	f.must(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	f.must(err)
	record := base64.StdEncoding.EncodeToString(public)
	f.dns.Add(t, `rsa._domainkey.partner.test. TXT "v=DKIM1; k=rsa; p=`+record[:200]+`" "`+record[200:]+`"`)
	f.original("o@partner.test", "the price list", insider)
	c, err := smtp.Dial(f.mta.smtp)
	f.must(err)
	defer c.Close()
	var commands, plain []time.Duration
	for n := range 320 {
		mail := strings.Replace(formA("the price list"), "<!~!", "<!~!"+strconv.Itoa(n), 1)
		mail = strings.Replace(mail, "The sender would", strconv.Itoa(n)+" would", 1)
		signed := f.signed("partner.test", mail, func(o *dkim.SignOptions) { o.Selector, o.Signer = "rsa", key })
		command := f.handedOver(c, signed)
		ordinary := f.handedOver(c,
			strings.NewReplacer("Recall: ", "", "<!~!", "<", "ms-tnef", "octet-stream").Replace(signed))
		if n >= 20 { // the resolver is warm
			commands, plain = append(commands, command), append(plain, ordinary)
		}
	}
	if got := len(f.logged("verdict=pass")); got != 320 {
		t.Errorf("%d of 320 passed", got)
	}
	t.Logf("recall command, 2048-bit signature, warm resolver: final dot to 250: p50 %v, p99 %v; the same as ordinary "+
		"mail: p50 %v, p99 %v",
		quantile(commands, 50), quantile(commands, 99), quantile(plain, 50), quantile(plain, 99))
}

// handedOver returns the time from the final dot to the 250.
func (f *frontier) handedOver(c *smtp.Client, message string) time.Duration {
	f.must(c.Mail(partnerFrom))
	f.must(c.Rcpt(insider))
	w, err := c.Data()
	f.must(err)
	_, err = w.Write([]byte(message))
	f.must(err)
	start := time.Now()
	f.must(w.Close())
	return time.Since(start)
}

// rememberedMail measures the store's share: in batches, as the gate writes them. Mail of gateways like this one has a
// Cancel-Lock, and hardly any other mail.
func rememberedMail(t *testing.T) {
	remember(t, "ordinary mail", "")
	remember(t, "mail with a Cancel-Lock", "sha256:s/pmK/3grrz++29ce2/mQydzJuc7iqHn1nqcJiQTPMc=")
}

func remember(t *testing.T, what, lock string) {
	redis := server.StartRedis(t, packagedSettings(t)...)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const messages, batch = 100_000, 100
	used := func() int {
		_, text, _ := strings.Cut(redis.Do("INFO memory"), "used_memory:")
		n, err := strconv.Atoi(strings.TrimSpace(text[:strings.IndexByte(text, '\n')]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before, start := used(), time.Now()
	for n := 0; n < messages; n += batch {
		all := make([]holdstore.Remembered, batch)
		for i := range all {
			id := strconv.Itoa(n + i)
			all[i] = holdstore.Remembered{MessageID: "<CAF0rTnKq3Zf8J2mB7wXyV9" + id + "@mail.partner.test>",
				From:       "anna.miller" + id + "@partner.test",
				Recipients: []string{"bert.smith@corp.test"}, Subjects: []string{"the price list of item " + id}, At: time.Now(),
				Lock: lock, Ways: []holdstore.Way{{Client: "203.0.113.25", Domain: "partner.test"}}}
		}
		if err := store.Remember(context.Background(), all, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	took, bytes := time.Since(start), (used()-before)/messages
	t.Logf("memory of %s that came in: %d bytes in Redis (aim %d%s), %v a message in batches of %d, in the background; "+
		"%d a second", what, bytes, mostRemembered, missed(bytes > mostRemembered),
		(took / messages).Round(100*time.Nanosecond), batch, int(messages/took.Seconds()))
}

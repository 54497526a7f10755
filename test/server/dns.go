package server

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNS is one private name server.
type DNS struct {
	Addr string

	mu      sync.Mutex
	records map[string][]dns.RR
	broken  map[string]bool   // SERVFAIL
	odd     map[string]string // by domain
}

// StartDNS starts a name server that knows these records, in the form of zone files.
func StartDNS(t testing.TB, records ...string) *DNS {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &DNS{Addr: conn.LocalAddr().String(), records: map[string][]dns.RR{}, broken: map[string]bool{},
		odd: map[string]string{}}
	for _, r := range records {
		d.Add(t, r)
	}
	ready := make(chan struct{})
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(d.answer), NotifyStartedFunc: func() { close(ready) }}
	done := make(chan struct{})
	go func() { defer close(done); srv.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { srv.Shutdown(); <-done })
	return d
}

// Add adds one record.
func (d *DNS) Add(t testing.TB, record string) {
	t.Helper()
	rr, err := dns.NewRR(record)
	if err != nil {
		t.Fatal(err)
	}
	d.AddRR(rr)
}

// AddRR adds one record that zone files have no form for.
func (d *DNS) AddRR(rr dns.RR) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := strings.ToLower(rr.Header().Name)
	d.records[name] = append(d.records[name], rr)
}

// Fail makes the server say SERVFAIL for a name.
func (d *DNS) Fail(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken[dns.Fqdn(name)] = true
}

// Nonsense lists what Misbehave knows besides silence.
var Nonsense = []string{"garbage", "wrong-id", "other-question", "truncated", "loop", "huge", "binary"}

// Misbehave makes the server answer for names below a domain with silence, or some Nonsense; "" makes it good again.
func (d *DNS) Misbehave(domain, how string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.odd[dns.Fqdn(domain)] = how
}

// misbehave answers as Misbehave was told, and says whether it did.
func (d *DNS) misbehave(w dns.ResponseWriter, m *dns.Msg) bool {
	q := m.Question[0]
	name, how := strings.ToLower(q.Name), ""
	for domain := range d.odd {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			how = d.odd[domain]
		}
	}
	txt := func(text string) {
		m.Answer = append(m.Answer,
			&dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{text}})
	}
	switch how {
	case "":
		return false
	case "silence":
		return true
	case "garbage":
		w.Write([]byte("\xff\x00 this is no answer \xc0\x00\xc0"))
		return true
	case "wrong-id":
		m.Id++
		txt("v=spf1 +all")
	case "other-question":
		m.Question[0].Name = "other.test."
		txt("v=spf1 +all")
	case "truncated":
		m.Truncated = true
	case "loop":
		m.Answer = append(m.Answer,
			&dns.CNAME{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: q.Name})
	case "huge":
		for range 200 {
			txt(strings.Repeat("v=spf1 +all ", 20))
		}
	case "binary":
		txt("v=spf1 \\255\\000 +all;;==v=DKIM1;p=\\001")
		txt("v=DMARC1; p=\\000; adkim=zzz; ;; =")
	}
	w.WriteMsg(m)
	return true
}

func (d *DNS) answer(w dns.ResponseWriter, q *dns.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative, m.RecursionAvailable = true, true
	if d.misbehave(w, m) {
		return
	}
	name := strings.ToLower(q.Question[0].Name)
	all, known := d.records[name]
	switch {
	case d.broken[name]:
		m.Rcode = dns.RcodeServerFailure
	case !known:
		m.Rcode = dns.RcodeNameError
	}
	for hops := 0; hops < 10; hops++ {
		next := ""
		for _, rr := range all {
			alias, isAlias := rr.(*dns.CNAME)
			if rr.Header().Rrtype == q.Question[0].Qtype || isAlias {
				m.Answer = append(m.Answer, rr)
			}
			if isAlias {
				next = strings.ToLower(alias.Target)
			}
		}
		all = d.records[next]
	}
	w.WriteMsg(m)
}

package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// The whole gateway on Sentinel with TLS and a password in a file: the config reaches the store, and a failover costs
// no message.
func TestAGatewayOnSentinelWithTLSAndALogin(t *testing.T) {
	t.Parallel()
	const user = "user gateway on >secret ~* &* +@all"
	tls := server.TLS{Certificates: server.MakeCertificates(t, "redis.test"),
		Settings: []string{"tls-auth-clients no", "tls-replication yes"}}
	w := server.StartWatchedTLS(t, server.Soon, user, tls)
	for _, n := range w.Nodes {
		n.Do("ACL SETUSER " + user[len("user "):])
	}
	g := startGateway(t, "1h")
	password := g.conf + ".password"
	g.change(fmt.Sprintf("addresses = [%q]\n", g.redis.Addr), fmt.Sprintf(
		"addresses = [%q, %q, %q]\nsentinel_master = %q\nreplicas = 1\nusername = \"gateway\"\npassword_file = %q\ntls = "+
			"{ enabled = true, ca_file = %q, server_name = \"redis.test\" }\n",
		w.Addrs()[0], w.Addrs()[1], w.Addrs()[2], server.SentinelName, password, tls.CA))
	g.must(os.WriteFile(password, []byte("wrong\n"), 0o600))
	if _, code := g.ctl("list"); code != 77 {
		t.Errorf("list with a wrong password: exit %d, want 77", code)
	}
	g.must(os.WriteFile(password, []byte("secret\n"), 0o600))
	g.killDaemon()
	g.redis.Kill() // the one that the config named before
	g.startDaemon()
	g.mustSend("before@corp.test")
	w.Nodes[0].Kill()
	w.Successor(t, w.Nodes[0])
	g.mustSend("after@corp.test")
	if _, code := g.ctl("recall", "after@corp.test"); code != 0 {
		t.Errorf("recall: exit %d", code)
	}
	if _, code := g.ctl("release", "before@corp.test"); code != 0 {
		t.Errorf("release: exit %d", code)
	}
	server.Eventually(t, "what was held before the failover arrives",
		func() bool { return g.arrived("before@corp.test") == 1 })
	if g.arrived("after@corp.test") > 0 {
		t.Error("the recalled message was sent")
	}
}

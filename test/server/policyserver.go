package server

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
)

// StartPolicyServer starts a server of Postfix's policy delegation (SMTPD_POLICY_README) that answers each request
// with an action, which may depend on its attributes. It returns its host:port, and ends with the test.
func StartPolicyServer(t testing.TB, action func(attributes map[string]string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := t.Context().Done() // closed before the test's cleanups run
			serving.Go(func() { <-stop; c.Close() })
			serving.Go(func() { answerPolicy(c, action) })
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// answerPolicy answers the requests of one connection. An empty line ends each.
func answerPolicy(c net.Conn, action func(map[string]string) string) {
	attributes := map[string]string{}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if name, value, is := strings.Cut(lines.Text(), "="); is {
			attributes[name] = value
			continue
		}
		if _, err := c.Write([]byte("action=" + action(attributes) + "\n\n")); err != nil {
			return
		}
		attributes = map[string]string{}
	}
}

package web_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// line is a connection from an address of this machine.
type line struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, from, to string) line {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return line{c, bufio.NewReader(c)}
}

// ask returns the status of an answer, for the client that a proxy names; 0: the connection was closed.
func (l line) ask(request, forwardedFor string) int {
	_, err := l.Write([]byte(request + " HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + forwardedFor + "\r\n\r\n"))
	if err != nil {
		return 0
	}
	answer, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	var text strings.Builder
	if _, err := bufio.NewReader(answer.Body).WriteTo(&text); err != nil {
		return 0
	}
	return answer.StatusCode
}

// A client that has as many connections or requests as it may have keeps nobody else out, also behind a proxy, and with
// all addresses of an IPv6 network.
func TestOneClientLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	h.site.LetClients(2, 2)
	address := h.listen()
	const look, greedy, other, proxy = "GET /sign-in", "127.0.0.2", "127.0.0.3", "127.0.0.1"
	first := dial(t, greedy, address)
	for n, l := range []line{first, dial(t, greedy, address)} {
		if got := l.ask(look, ""); got != 200 {
			t.Errorf("connection %d of a client: %d", n+1, got)
		}
	}
	if got := dial(t, greedy, address).ask(look, "192.0.2.9"); got != 0 {
		t.Errorf("its third connection: %d", got)
	}
	if got := dial(t, other, address).ask(look, ""); got != 200 {
		t.Errorf("another client: %d", got)
	}
	first.Close()
	server.Eventually(t, "it has another in place of the first", func() bool {
		return dial(t, greedy, address).ask(look, "") == 200
	})
	for _, from := range []string{"2001:db8::1", "2001:db8::2", "", ""} {
		l := dial(t, proxy, address)
		_, err := l.Write([]byte("POST /sign-in HTTP/1.1\r\nHost: x\r\n" +
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n" +
			"Expect: 100-continue\r\nX-Forwarded-For: " + from + "\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := l.in.ReadString('\n'); !strings.Contains(text, " 100 ") { // it is read, and goes on with nothing
			t.Fatalf("a request behind a proxy: %q", text)
		}
	}
	for from, want := range map[string]int{"2001:db8::3": 429, "2001:db8:0:1::1": 200, "": 200} {
		if got := dial(t, proxy, address).ask(look, from); got != want {
			t.Errorf("the client %q behind a proxy: %d, want %d", from, got, want)
		}
	}
}

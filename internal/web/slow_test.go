package web_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowly begins a request, and goes on with nothing.
func slowly(t *testing.T, address, request string) *bufio.Reader {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err == nil {
		_, err = c.Write([]byte(request))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return bufio.NewReader(c)
}

// listen has the page answer at a port of its own, with the bounds of a server, until the test ends.
func (h *house) listen() (address string) {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- h.site.Serve(ctx, l, nil) }()
	h.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	return l.Addr().String()
}

// Clients that send or read slowly have all connections that there are. Others wait until the time of these is over,
// and no longer; what a slow reader has got can't be taken for the whole.
func TestSlowClientsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	h := open(t, "")
	id := h.mail("large", time.Hour, strings.Repeat("a line of a large message\r\n", 600_000), "bert@far.test")
	head := "Host: x\r\nAuthorization: Bearer " + h.token("site", "read") + "\r\n"
	h.site.BeQuick(500*time.Millisecond, 2*time.Second, 4)
	address := h.listen()
	other := func(while string) {
		t.Helper()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get("http://" + address + "/sign-in")
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("somebody else, while others %s: %v %v", while, answer, err)
		}
		answer.Body.Close()
	}
	for range 2 {
		slowly(t, address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
	slowly(t, address, "")
	body := slowly(t, address, "POST /api/v1/test HTTP/1.1\r\n"+head+
		"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	other("send slowly")
	if line, _ := body.ReadString('\n'); !strings.Contains(line, " 400 ") {
		t.Errorf("a body that does not come: %q", line)
	}
	var readers []*bufio.Reader
	for range 4 {
		readers = append(readers, slowly(t, address, "GET /api/v1/holds/"+id+"/message HTTP/1.1\r\n"+head+"\r\n"))
	}
	other("read slowly")
	cut := 0
	for _, r := range readers {
		answer, err := http.ReadResponse(r, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		if err != nil {
			cut++
		}
	}
	if cut == 0 {
		t.Error("slow readers have the whole message")
	}
}

package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
)

// StartSocketmap answers questions to a Postfix socketmap (socketmap_table(5)) at an address until the test ends, and
// returns the listener, whose end makes it be away. A question is "MAP KEY"; an empty answer ends the connection.
func StartSocketmap(t testing.TB, network, address string, answer func(question string) string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveSocketmap(c, answer)
		}
	}()
	return l
}

func serveSocketmap(c net.Conn, answer func(question string) string) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		var length int
		if _, err := fmt.Fscanf(r, "%d:", &length); err != nil {
			return
		}
		question := make([]byte, length+1) // with the comma
		if _, err := io.ReadFull(r, question); err != nil {
			return
		}
		text := answer(string(question[:length]))
		if text == "" {
			return
		}
		fmt.Fprintf(c, "%d:%s,", len(text), text)
	}
}

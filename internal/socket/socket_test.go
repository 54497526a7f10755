package socket

import (
	"net"
	"strings"
	"testing"
)

// Who starts a second daemon learns why it does not start.
func TestAPortThatIsTakenIsNamedWithWhoMightHaveIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	_, err = Listen("tcp", l.Addr().String(), 0, "")
	if err == nil || !strings.Contains(err.Error(), "another daemon answers at this address") {
		t.Errorf("%v", err)
	}
}

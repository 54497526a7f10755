package milter

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"

	gomilter "github.com/emersion/go-milter"

	"github.com/recall-milter/recall-milter/holdstore"
)

// connected takes a C frame: the client as the MTA describes it. A client whose address can't be read would be taken
// for the gateway itself, so the session ends.
func (s *session) connected(data []byte) error {
	address, port, remote := peer(data)
	if remote && !address.IsValid() {
		return fmt.Errorf("the MTA's client address %q can't be read", data)
	}
	host, _, _ := strings.Cut(string(data), "\x00")
	s.client = holdstore.Client{Name: s.macroOr("client_name", host), PTR: s.macros["client_ptr"], Port: port}
	// sendmail(1) comes as 127.0.0.1 without a port. Nor has a client behind a proxy one, but that is elsewhere.
	if remote && (port != 0 || !address.Unmap().IsLoopback()) {
		s.client.Address = address.String()
	}
	return nil
}

// peer reads the data of a C frame: host name, NUL, family, and for IP a port and an address. remote says that it is
// IP. Sendmail writes IPv6 addresses with a prefix that go-milter does not know.
func peer(data []byte) (address netip.Addr, port int, remote bool) {
	_, rest, _ := bytes.Cut(data, []byte{0})
	if len(rest) == 0 || rest[0] != '4' && rest[0] != '6' {
		return address, 0, false
	}
	if len(rest) < 3 {
		return address, 0, true
	}
	text := strings.TrimSuffix(string(rest[3:]), "\x00")
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	address, _ = netip.ParseAddr(text)
	return address, int(rest[1])<<8 | int(rest[2]), true
}

// Connect has nothing left to do: the adapter took the frame.
func (s *session) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// Helo takes the client's own name. A second one, after STARTTLS, replaces the first.
func (s *session) Helo(name string, _ *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	s.client.HELO = name
	return gomilter.RespContinue, nil
}

// newConnection takes a K frame: the MTA keeps the milter connection for another client.
func (s *session) newConnection() {
	s.reset()
	s.macros, s.macroBytes, s.client = map[string]string{}, 0, holdstore.Client{}
}

package milter

import (
	"context"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
)

// scarcePort has no descriptor for the first sessions.
type scarcePort struct {
	*pipes
	without int
}

func (p *scarcePort) Accept() (net.Conn, error) {
	if p.without > 0 {
		p.without--
		return nil, syscall.EMFILE
	}
	return p.pipes.Accept()
}

// Without a descriptor the port looks for one ten times a second: the log has a line for the begin of that, and one for
// its end. What follows is of the session.
func TestAPortWithoutDescriptorsSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &notes{}
		ctx, cancel := context.WithCancel(t.Context())
		port, ended := &scarcePort{newPipes(), 20}, make(chan error)
		go func() { ended <- (&Server{Log: log}).Serve(ctx, port) }()
		here, there := net.Pipe()
		port.conns <- there
		here.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if want := []string{"trouble " + tooFull + ": too many open files",
			"recovered " + roomAgain + ", after 2s"}; !slices.Equal(log.lines[:min(2, len(log.lines))], want) {
			t.Errorf("%q", log.lines)
		}
	})
}

package doctor

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/lazyregexp"
	"github.com/recall-milter/recall-milter/internal/monitor/metricname"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// briefly bounds one question to a server that is near.
const briefly = 5 * time.Second

// startDaemon is how the daemon is started.
const startDaemon = "systemctl enable recall-milter; systemctl restart recall-milter || journalctl -u recall-milter " +
	"-n 20 --no-pager"

// daemon looks whether the daemon answers MTAs and monitoring.
func daemon(ctx context.Context, s *Site, r report) {
	good := 0
	for _, at := range s.Listening() {
		switch err := negotiates(ctx, at); {
		case errors.Is(err, errNoMilter):
			r.bad("daemon.other",
				byHand+"only you know what else should listen there: stop it (ss -ltnp names it), or change listen in "+s.File+
					", then: systemctl restart recall-milter", "something else than our daemon answers at %s: %v", at.Address, err)
		case err != nil:
			r.bad("daemon.listen", startDaemon,
				"the daemon does not answer at %s: the MTA does with all mail what its milter settings say: %v", at.Address, err)
		default:
			good++
		}
	}
	if good == len(s.Config.Listen) {
		r.fine("daemon", "answers at %s", strings.Join(s.Config.Listen, ", "))
	}
	if good > 0 && s.Config.HTTP.Listen != "" {
		s.monitoring(ctx, r)
	}
}

var errNoMilter = errors.New("it speaks no milter protocol")

// negotiates opens a milter session as an MTA would (milter protocol 6, all that we can do offered), and ends it.
func negotiates(ctx context.Context, at postfix.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, briefly)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, at.Network, at.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	until, _ := ctx.Deadline()
	conn.SetDeadline(until)
	offer := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 13, 'O'}, 6)
	offer = binary.BigEndian.AppendUint32(offer, 0x1ff)
	offer = binary.BigEndian.AppendUint32(offer, 0x1fffff)
	if _, err := conn.Write(offer); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	head := make([]byte, 5)
	if _, err := io.ReadFull(in, head); err != nil || head[4] != 'O' || binary.BigEndian.Uint32(head) > 64<<10 {
		return errNoMilter
	}
	_, _ = conn.Write([]byte{0, 0, 0, 1, 'Q'})
	return nil
}

// monitoring looks at what the daemon says of itself.
func (s *Site) monitoring(ctx context.Context, r report) {
	ready, err := s.ask(ctx, "/readyz")
	if err != nil {
		r.warn("daemon.http", byHand+"only you know what else uses the port of http.listen: stop it (ss -ltnp names it), "+
			"then: systemctl restart recall-milter",
			"monitoring does not answer at %s, though the daemon runs: %v", s.Config.HTTP.Listen, err)
		return
	}
	if ready.status != http.StatusOK {
		r.bad("daemon.ready", "systemctl restart recall-milter", "the daemon says: %s", ready.text)
	}
	if live, err := s.ask(ctx, "/livez"); err == nil && live.status != http.StatusOK {
		r.bad("daemon.release", "systemctl restart recall-milter", "the daemon says: %s", live.text)
	}
	metrics, err := s.ask(ctx, "/metrics")
	if err != nil {
		return
	}
	s.reloads(metrics.text, r)
	if runs := buildInfo.FindStringSubmatch(metrics.text); runs != nil && runs[1] != s.Version {
		r.warn("daemon.version", "systemctl restart recall-milter",
			"the daemon that runs is %s, and this program is %s: the upgrade is not finished", runs[1], s.Version)
	}
}

// reloads looks at what the daemon has not taken of its config.
func (s *Site) reloads(metrics string, r report) {
	if strings.Contains(metrics, "\n"+metricname.ReloadFailing+" 1\n") {
		r.warn("daemon.reload", "recall-milter -t -c "+hint.Quoted(s.File)+" && systemctl reload recall-milter",
			"the daemon refused %s at its last reload: what it had read before is in force", s.File)
	}
	if runs := configSum.FindStringSubmatch(metrics); runs != nil && runs[1] != s.Config.Sum &&
		!strings.Contains(metrics, "\n"+metricname.ReloadFailing+" 1\n") {
		r.warn("daemon.stale", "systemctl reload recall-milter",
			"%s was changed after the daemon had read it: what it says is not in force", s.File)
	}
	for _, m := range failingList.FindAllStringSubmatch(metrics, -1) {
		r.warn("daemon.list", byHand+"the daemon's log says what is wrong with the file: journalctl -u recall-milter",
			"the daemon does not take the list %s as it is now: the entries that it had stay in force", m[1])
	}
	var keys []string
	for _, m := range needsRestart.FindAllStringSubmatch(metrics, -1) {
		keys = append(keys, m[1])
	}
	if len(keys) > 0 {
		r.warn("daemon.restart", "systemctl restart recall-milter",
			"the daemon still runs with the old values of %s: a reload can't change them", strings.Join(keys, ", "))
	}
}

var needsRestart = lazyregexp.New(`(?m)^` + metricname.NeedsRestart + `\{key="([^"]*)"\} 1`)

var failingList = lazyregexp.New(`(?m)^` + metricname.ListFailing + `\{list="([^"]*)"\} 1`)

var configSum = lazyregexp.New(`(?m)^` + metricname.ConfigSum + `\{sha256="([^"]*)"\} 1`)

var buildInfo = lazyregexp.New(`(?m)^recall_milter_build_info\{version="([^"]*)"\} 1`)

// answer is what the http port says.
type answer struct {
	status int
	text   string
}

// maxAnswer bounds what is read of it, in bytes.
const maxAnswer = 1 << 20

func (s *Site) ask(ctx context.Context, path string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, briefly)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(s.Config.HTTP.Listen)+path, nil)
	if err != nil {
		return answer{}, err
	}
	reply, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		return answer{}, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", path, err)
	}
	return answer{reply.StatusCode, strings.TrimSpace(string(text))}, nil
}

// reachable is an address that this machine can dial for one that listens everywhere.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

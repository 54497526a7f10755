// Command recall-milter is the daemon: it answers the MTA's milter sessions, and releases what is due.
package main

import (
	"context"
	"io"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/service"
)

// version is set by the build.
var version = "unknown"

const about = `Hold outbound mail for a grace period, and release it to the MTA. The daemon runs in the foreground and
logs to standard error. SIGTERM ends it, SIGHUP makes it read its config again.
`

func main() {
	service.Service{Name: "recall-milter", Version: version, About: about, Open: open}.Main()
}

func open(c *config.Config, file string, stderr io.Writer) (func(context.Context) error, error) {
	d, err := newDaemon(c, file, stderr)
	if err != nil {
		return nil, err
	}
	return d.run, nil
}

// run serves until ctx ends, and logs why it could not.
func (d *daemon) run(ctx context.Context) error {
	err := d.serve(ctx)
	if err != nil {
		d.log.Dies(err)
	}
	return err
}

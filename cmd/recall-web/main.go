// Command recall-web serves the page where senders take their mail back, and the API. It works straight on the hold
// store, as recallctl does: it and the daemon can each end without the other.
package main

import (
	"context"
	"io"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/service"
)

// version is set by the build.
var version = "unknown"

const about = `Serve the page where senders see their held mail and take it back, and the API. It reads the table [web]
of the daemon's config, runs in the foreground, and logs to standard error. SIGTERM ends it, SIGHUP makes it read its
config again.
`

func main() { service.Service{Name: "recall-web", Version: version, About: about, Open: open}.Main() }

func open(c *config.Config, file string, stderr io.Writer) (func(context.Context) error, error) {
	w, err := newSite(c, file, stderr)
	if err != nil {
		return nil, err
	}
	return w.run, nil
}

// run serves until ctx ends, and logs why it could not.
func (w *site) run(ctx context.Context) error {
	defer w.store.Close()
	err := w.serve(ctx)
	if err != nil {
		w.log.Dies(err)
	}
	return err
}

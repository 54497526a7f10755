package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEachFaultThatTheDaemonTellsIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ready, live int
		version     string
		want        string
		more        string
	}{
		"healthy":       {200, 200, "1.2.3", "", ""},
		"not ready":     {503, 200, "1.2.3", "daemon.ready", ""},
		"stands still":  {200, 503, "1.2.3", "daemon.release", ""},
		"older":         {200, 200, "1.2.2", "daemon.version", ""},
		"says no words": {200, 200, "", "", ""},
		"a list":        {200, 200, "1.2.3", "daemon.list", "recall_milter_list_failing{list=\"vips.txt\"} 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/readyz":
					w.WriteHeader(c.ready)
				case "/livez":
					w.WriteHeader(c.live)
				case "/metrics":
					if c.version != "" {
						fmt.Fprintf(w, "# HELP x\nrecall_milter_build_info{version=%q} 1\n%s\n", c.version,
							c.more)
					}
				}
				fmt.Fprintln(w, "words of the daemon")
			}))
			defer status.Close()
			s := siteOf(t, "[http]\nlisten = \""+strings.TrimPrefix(status.URL, "http://")+"\"\n")
			s.Version = "1.2.3"
			found := gathered(func(r report) { s.monitoring(context.Background(), r) })
			if got := strings.Join(checks(found), " "); got != c.want {
				t.Errorf("found %q, want %q: %+v", got, c.want, found)
			}
			fixed(t, found)
		})
	}
}

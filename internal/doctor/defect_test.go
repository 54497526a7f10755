package doctor

import (
	"context"
	"strings"
	"testing"
)

func TestAPanicInACheckIsAFindingAndEndsNoOtherCheck(t *testing.T) {
	s := &Site{}
	found := inParallel(t.Context(), s,
		func(_ context.Context, _ *Site, r report) {
			var none *Site
			r.fine("dns.ready", "one")
			r.fine("dns.ready", "%s", none.User)
		},
		func(_ context.Context, _ *Site, r report) { r.fine("dns.ready", "other") })
	if len(found) != 3 || found[0].Text != "one" || found[2].Text != "other" {
		t.Fatalf("%+v", found)
	}
	fixed(t, found[1:2])
	if f := found[1]; f.Check != "config.defect" || f.Level != Warning || !strings.Contains(f.Text, "nil pointer") ||
		!strings.Contains(f.Text, "defect_test.go:") {
		t.Errorf("%+v", f)
	}
}

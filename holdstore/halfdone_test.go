package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A commit whose script failed on its way may have made a hold: its content stays until the hold is fenced off. Else
// the client's retry would find a hold of nothing, and hear 250.
func TestACommitThatFailedHalfWayLosesNothing(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	srv.Do("ACL SETUSER gateway on >secret ~* &* +@all")
	s := openWith(t, Options{Addresses: []string{srv.Addr}, Username: "gateway", Password: "secret"})
	put(t, s, "before", time.Hour, "")
	srv.Do("ACL SETUSER gateway resetchannels") // the script ends where it would publish
	if r, err := tryPut(s, "m", time.Second, "body"); err == nil {
		t.Fatalf("held: %+v", r)
	}
	srv.Do("ACL SETUSER gateway allchannels")
	r := put(t, s, "m", time.Second, "body")
	if got, err := read(t, s, r.ID); err != nil || got != header("m")+"\r\nbody" {
		t.Errorf("found %v: %q, %v", r.Found, got, err)
	}
}

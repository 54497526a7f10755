// Package fingerprint tells a message from another one with the same Message-ID: at the gateway when it comes in, and
// later in a mailbox.
package fingerprint

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Print is what is compared. White space does not count.
type Print struct {
	Header string // digest of the fields in Fields
	Body   string // digest of the first MaxBody bytes; empty: not known
}

// Fields are the fields of a Print. A filter that changes one of them on the way to the mailbox makes another message
// of it.
var Fields = []string{"Message-ID", "From", "Date", "Subject"}

// MaxBody is how many bytes of a body a Print takes.
const MaxBody = 16 << 10

// OfHeader is the digest of a header, of which values returns all fields of a name.
func OfHeader(values func(name string) []string) string {
	sum := sha256.New()
	for _, name := range Fields {
		for _, value := range values(name) {
			sum.Write([]byte(name + ":" + strings.Join(strings.Fields(value), "") + "\n"))
		}
	}
	return short(sum.Sum(nil))
}

// Body is the digest of a body that streams through it. The zero value is ready for use.
type Body struct {
	digest *holdstore.BodyDigest // nil: nothing was written
	taken  int
}

// Begun says whether anything was written, be it of no length.
func (p *Body) Begun() bool { return p.digest != nil }

// Write adds a piece of the body. more is false when what follows does not count.
func (p *Body) Write(piece []byte) (more bool) {
	if p.digest == nil {
		p.digest = &holdstore.BodyDigest{}
	}
	piece = piece[:min(len(piece), MaxBody-p.taken)]
	p.taken += len(piece)
	p.digest.Write(piece)
	return p.taken < MaxBody
}

// Sum returns the digest of what was written.
func (p *Body) Sum() string { return short(p.digest.Sum()) }

func short(sum []byte) string { return base64.RawStdEncoding.EncodeToString(sum[:12]) }

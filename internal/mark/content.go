package mark

import (
	"crypto/sha256"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// shown are the header fields that decide what a reader sees of a body: with another boundary, charset or transfer
// encoding the same bytes are another text. No MTA changes them without changing the body.
var shown = map[string]bool{"content-type": true, "content-transfer-encoding": true, "content-disposition": true,
	"mime-version": true}

// Content is what a mark is bound to besides the subject: the digest of a body (holdstore.BodyDigest), and the fields
// by which it is read, all of them in their order. Folds and blanks don't count.
func Content(body []byte, header []policy.Field) []byte {
	sum := sha256.New()
	sum.Write(body)
	for _, f := range header {
		if name := holdstore.Fold(f.Name); shown[name] {
			sum.Write([]byte("\n" + name + ":" + strings.Join(strings.Fields(f.Value), "")))
		}
	}
	return sum.Sum(nil)
}

package correspondents

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// head is the first line of an export.
type head struct {
	Correspondents int    `json:"correspondents"` // version of the form
	Secret         string `json:"secret"`         // tells secrets apart, and nothing of them
}

// row is a pair of an export.
type row struct {
	Person  string `json:"person"`
	Contact string `json:"contact"`
	Came    bool   `json:"came,omitempty"`
	Day     string `json:"day"`
}

// ErrOtherSecret says that an export was made with another gateway's secret: its hashes mean nobody here.
var ErrOtherSecret = errors.New("the export was made with another gateway secret: its hashes mean nobody here")

func heading(key []byte) head {
	name := Name(key, "recall-milter export")
	return head{1, hex.EncodeToString(name[:])}
}

// Export writes all pairs as JSON lines, behind a heading. There are hashes in it, and no addresses.
func Export(ctx context.Context, store *holdstore.Store, key []byte, to io.Writer) (n int, err error) {
	out := json.NewEncoder(to)
	if err := out.Encode(heading(key)); err != nil {
		return 0, err
	}
	return n, store.Acquaintances(ctx, func(p holdstore.Pair) error {
		n++
		return out.Encode(row{base64.RawStdEncoding.EncodeToString(p.Person[:]),
			base64.RawStdEncoding.EncodeToString(p.Contact[:]), p.Came,
			time.Unix(int64(p.Day)*86400, 0).UTC().Format(time.DateOnly)})
	})
}

// Import reads an export, or a mail log, and calls visit with the pairs in it, some at a time. isLocal says whose
// people write; it is asked for addresses of a mail log.
func Import(from io.Reader, key []byte, now time.Time, isLocal func(address string) bool,
	visit func([]holdstore.Pair) error) error {
	in := bufio.NewReader(from)
	if begin, _ := in.Peek(1); len(begin) == 1 && begin[0] == '{' {
		return readExport(in, key, visit)
	}
	return ReadMaillog(in, now, func(d Delivery) error {
		day := holdstore.Day(d.At)
		switch sender, recipient := isLocal(d.Sender), isLocal(d.Recipient); {
		case sender && !recipient:
			return visit(Sent(key, d.Sender, []string{d.Recipient}, day))
		case recipient && !sender:
			return visit(Came(key, d.Sender, []string{d.Recipient}, day))
		}
		return nil
	})
}

func readExport(in io.Reader, key []byte, visit func([]holdstore.Pair) error) error {
	lines := json.NewDecoder(in)
	var h head
	if err := lines.Decode(&h); err != nil || h.Correspondents != 1 {
		return fmt.Errorf("the first line is not that of an export: %w", errors.Join(err, errors.ErrUnsupported))
	}
	if h != heading(key) {
		return ErrOtherSecret
	}
	for n := 2; ; n++ {
		var r row
		if err := lines.Decode(&r); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		day, err := time.Parse(time.DateOnly, r.Day)
		person, err1 := base64.RawStdEncoding.DecodeString(r.Person)
		contact, err2 := base64.RawStdEncoding.DecodeString(r.Contact)
		p := holdstore.Pair{Came: r.Came, Day: holdstore.Day(day)}
		if err := errors.Join(err, err1, err2); err != nil || len(person) != len(p.Person) ||
			len(contact) != len(p.Contact) {
			return fmt.Errorf("line %d is not a pair of an export", n)
		}
		copy(p.Person[:], person)
		copy(p.Contact[:], contact)
		if err := visit([]holdstore.Pair{p}); err != nil {
			return err
		}
	}
}

package holdstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
	"github.com/recall-milter/recall-milter/test/server"
)

func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func openSealed(t *testing.T, addr string, keys ...[]byte) *Store {
	t.Helper()
	s, err := Open(Options{Addresses: []string{addr}, Durability: "strict", SealKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// read returns the whole content of a hold.
func read(t *testing.T, s *Store, id string) (string, error) {
	t.Helper()
	h, err := s.Get(t.Context(), id)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(s.Content(t.Context(), h))
	return string(text), err
}

func TestNothingOfASealedMessageCanBeReadInRedis(t *testing.T) {
	r := server.StartRedis(t)
	s := openSealed(t, r.Addr, key(1))
	sub := submission("topsecret")
	sub.Subject = "für the chiefs"
	p := s.Put(sub, []byte(header("topsecret")))
	if err := p.Write(t.Context(), []byte("the wages of all")); err != nil {
		t.Fatal(err)
	}
	receipt, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	id := receipt.ID
	if h, err := s.Get(t.Context(), id); err != nil || h.Subject != sub.Subject {
		t.Errorf("its record: %q %v", h.Subject, err)
	}
	want := header("topsecret") + "\r\nthe wages of all"
	if got, err := read(t, s, id); err != nil || got != want {
		t.Fatalf("%q %v, want %q", got, err, want)
	}
	keys, err := s.nodes.Client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, name := range keys {
		dump, _ := s.nodes.Client.Dump(t.Context(), name).Result()
		for _, word := range []string{"wages", "Subject", "f=C3=BC", "chiefs"} {
			if strings.Contains(dump, word) || strings.Contains(name, word) {
				t.Errorf("%q stands in %s", word, name)
			}
		}
	}
	again, err := tryPut(s, "topsecret", time.Hour, "the wages of all")
	if err != nil || !again.Found || again.ID != id {
		t.Errorf("the client's retry makes a second hold: %+v %v", again, err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	r := server.StartRedis(t)
	plain := put(t, open(t, r.Addr), "plain", time.Hour, "before any key").ID
	old := put(t, openSealed(t, r.Addr, key(1)), "old", time.Hour, "under the first key").ID
	both := openSealed(t, r.Addr, key(2), key(1))
	young := put(t, both, "new", time.Hour, "under the second key").ID
	for _, id := range []string{old, young} {
		if _, err := read(t, both, id); err != nil {
			t.Error(err)
		}
	}
	if _, err := read(t, both, plain); !errors.Is(err, ErrUnproven) {
		t.Errorf("not sealed: %v", err)
	}
	if _, err := read(t, openSealed(t, r.Addr, key(2)), old); !errors.Is(err, ErrNoKey) ||
		!strings.Contains(err.Error(), "add key "+KeyID(key(1))) {
		t.Errorf("without its key: %v", err)
	}
	usage, err := both.SealUsage(t.Context(), nil)
	if err != nil || usage[""] != 1 || usage[KeyID(key(1))] != 1 || usage[KeyID(key(2))] != 1 {
		t.Errorf("usage %v %v", usage, err)
	}
}

// Somebody who can write to Redis, but has no key, can't make another message of what is there.
func TestSealedPiecesStayInTheirPlace(t *testing.T) {
	r := server.StartRedis(t)
	s := openSealed(t, r.Addr, key(1))
	ctx := context.Background()
	noise := func(c byte) string { return strings.Repeat(string(c)+"-", chunkSize) } // two full pieces
	for name, harm := range map[string]func(a, b *Hold){
		"a bit changed": func(a, _ *Hold) {
			n := pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1)
			v, _ := s.nodes.Client.Get(ctx, n).Bytes()
			v[len(v)-1] ^= 1
			s.nodes.Client.Set(ctx, n, v, 0)
		},
		"two swapped": func(a, _ *Hold) {
			one, two := pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1), pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 2)
			v, w := s.nodes.Client.Get(ctx, one).Val(), s.nodes.Client.Get(ctx, two).Val()
			s.nodes.Client.MSet(ctx, one, w, two, v)
		},
		"of another message": func(a, b *Hold) {
			s.nodes.Client.Set(ctx, pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1),
				s.nodes.Client.Get(ctx, pieceKey(s.nodes.Of(b.ID), b.ID, b.staging, 1)).Val(), 0)
		},
		"the end cut off": func(a, _ *Hold) {
			pack(s, a.ID, func(p string) string {
				words := strings.SplitN(p, " ", 7)
				words[2], words[5] = fmt.Sprint(a.Size-chunkSize), fmt.Sprint(a.chunks-1)
				return strings.Join(words, " ")
			})
		},
		"replayed of another attempt to hold it": func(a, _ *Hold) {
			other := s.seal.Wrap([]byte(noise('a')[:chunkSize]), seal.Place{ID: a.ID, Staging: "OTHERTRY", N: 1})
			s.nodes.Client.Set(ctx, pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1), other, 0)
		},
		"a piece in place of the header": func(a, _ *Hold) {
			s.nodes.Client.Set(ctx, pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 0),
				s.nodes.Client.Get(ctx, pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1)).Val(), 0)
		},
		"truncated": func(a, _ *Hold) {
			s.nodes.Client.Set(ctx, pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1), "\x03abc", 0)
		},
		"of unknown form": func(a, _ *Hold) {
			s.nodes.Client.Set(ctx, pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 1), "\x80abc", 0)
		},
	} {
		a, _ := s.Get(ctx, put(t, s, name+"a", time.Hour, noise('a')).ID)
		b, _ := s.Get(ctx, put(t, s, name+"b", time.Hour, noise('b')).ID)
		harm(a, b)
		if _, err := read(t, s, a.ID); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := read(t, s, b.ID); err != nil {
			t.Errorf("%s: the other one: %v", name, err)
		}
	}
}

// A small message is one piece, which is bound to its place as well; one that says it is small and is not is refused.
func TestASmallMessageIsOnePiece(t *testing.T) {
	s, ctx := openSealed(t, server.StartRedis(t).Addr, key(1)), context.Background()
	a, _ := s.Get(ctx, put(t, s, "a", time.Hour, "body").ID)
	b, _ := s.Get(ctx, put(t, s, "b", time.Hour, "body").ID)
	if n := s.nodes.Client.Keys(ctx, "*:b:*").Val(); len(n) != 2 || a.chunks != 1 {
		t.Fatalf("%q", n)
	}
	if h, err := s.Header(ctx, a); err != nil || string(h) != header("a") {
		t.Errorf("%q %v", h, err)
	}
	name := pieceKey(s.nodes.Of(a.ID), a.ID, a.staging, 0)
	stored := s.nodes.Client.Get(ctx, name).Val()
	for what, other := range map[string]string{
		"of another message": s.nodes.Client.Get(ctx, pieceKey(s.nodes.Of(b.ID), b.ID, b.staging, 0)).Val(),
		"not small any more": string(stored[0]&^4) + stored[1:],
		"unsealed and short": "\x04\xff\x01abc",
	} {
		s.nodes.Client.Set(ctx, name, other, 0)
		if _, err := read(t, s, a.ID); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.nodes.Client.Del(ctx, name)
	if _, err := read(t, s, a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("dropped: %v", err)
	}
}

func TestKeysAreReplacedInAnOpenStore(t *testing.T) {
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	first := put(t, s, "first", time.Hour, "body").ID
	large := s.Put(submission("large"), []byte("A: b\r\n")) // begun before, ended after
	if err := large.Write(t.Context(), []byte(strings.Repeat("x", 3*chunkSize))); err != nil {
		t.Fatal(err)
	}
	large.work.Wait()
	if err := s.UseKeys([][]byte{key(2), key(1)}); err != nil {
		t.Fatal(err)
	}
	r, err := large.Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{first, r.ID, put(t, s, "second", time.Hour, "body").ID} {
		if _, err := read(t, s, id); err != nil {
			t.Error(err)
		}
	}
	usage, err := s.SealUsage(t.Context(), nil)
	if err != nil || usage[KeyID(key(1))] != 1 || usage[KeyID(key(2))] != 2 {
		t.Errorf("%v %v", usage, err)
	}
	if err := s.UseKeys([][]byte{{1}}); err == nil {
		t.Error("a key of one byte is taken")
	}
}

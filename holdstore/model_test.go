package holdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/recall-milter/recall-milter/test/server"
)

// model is the contract's picture of the states, for messages with one recipient.
type model struct {
	state map[string]State
	due   map[string]bool
	claim map[string]*Claim
}

func (m *model) ids(states ...State) []string {
	ids := slices.Sorted(maps.Keys(m.state))
	return slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(states, m.state[id]) })
}

// step moves a hold when it stands in from, and says which error the store owes otherwise.
func (m *model) step(id string, from, to State, due bool) error {
	switch at := m.state[id]; {
	case at == from:
		m.state[id], m.due[id] = to, due
		return nil
	case at == Releasing || at == Released:
		return ErrTooLate
	}
	return ErrNotNow
}

// Whatever several clients do to the store, in any order, it is always where the picture says.
func TestTheStoreIsThePictureOfItsStates(t *testing.T) {
	addr := server.StartRedis(t).Addr
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		var clients []*Store
		for range 3 {
			s, err := Open(Options{Addresses: []string{addr}, Durability: "strict", Prefix: fmt.Sprint("model", runs)})
			if err != nil {
				rt.Fatal(err)
			}
			defer s.Close()
			clients = append(clients, s)
		}
		ctx, n := context.Background(), 0
		m := &model{state: map[string]State{}, due: map[string]bool{}, claim: map[string]*Claim{}}
		any := func(rt *rapid.T) *Store { return rapid.SampledFrom(clients).Draw(rt, "client") }
		hold := func(rt *rapid.T) string {
			ids := m.ids(Held, Releasing, Released, Recalled)
			if len(ids) == 0 {
				rt.Skip("no hold")
			}
			return rapid.SampledFrom(ids).Draw(rt, "hold")
		}
		agree := func(rt *rapid.T, got, want error) {
			if want == nil && got != nil || want != nil && !errors.Is(got, want) {
				rt.Fatalf("the store says %v, the picture %v", got, want)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				n++
				now := rapid.Bool().Draw(rt, "due now")
				grace := map[bool]time.Duration{true: 0, false: time.Hour}[now]
				p := any(rt).Put(Submission{MessageID: fmt.Sprintf("<%d@mid.test>", n), Recipients: []Path{{Address: "b@x.test"}}}, []byte(fmt.Sprintf("Subject: %d\r\n", n)))
				r, err := p.Commit(ctx, Terms{Rule: "default", Grace: grace})
				if err != nil {
					rt.Fatal(err)
				}
				m.state[r.ID], m.due[r.ID] = Held, now
			},
			"recall": func(rt *rapid.T) {
				id := hold(rt)
				_, err := any(rt).Recall(ctx, id, alice)
				agree(rt, err, m.step(id, Held, Recalled, false))
			},
			"release now": func(rt *rapid.T) {
				id := hold(rt)
				_, err := any(rt).Release(ctx, id, alice)
				agree(rt, err, m.step(id, Held, Held, true))
			},
			"restore": func(rt *rapid.T) {
				id := hold(rt)
				h, _ := any(rt).Get(ctx, id)
				_, err := any(rt).Restore(ctx, id, alice)
				if m.state[id] == Recalled {
					m.state[id], m.due[id] = Held, h.Grace == 0
				} else if err == nil {
					rt.Fatalf("restored what is %s", m.state[id])
				}
			},
			"claim": func(rt *rapid.T) {
				claims, err := any(rt).Claim(ctx, 100)
				if err != nil {
					rt.Fatal(err)
				}
				for _, c := range claims {
					if m.state[c.ID] != Held || !m.due[c.ID] {
						rt.Fatalf("claimed %s, which is %s and due is %v", c.ID, m.state[c.ID], m.due[c.ID])
					}
					m.state[c.ID], m.claim[c.ID] = Releasing, c
				}
				if left := slices.DeleteFunc(m.ids(Held), func(id string) bool { return !m.due[id] }); len(left) > 0 {
					rt.Fatalf("due, and not claimed: %v", left)
				}
			},
			"settle": func(rt *rapid.T) {
				ids := m.ids(Releasing)
				if len(ids) == 0 {
					rt.Skip("nothing is releasing")
				}
				id := rapid.SampledFrom(ids).Draw(rt, "claim")
				if rapid.Bool().Draw(rt, "sent") {
					agree(rt, any(rt).Settle(ctx, m.claim[id], Settlement{Results: map[int]Result{0: {Outcome: Sent, At: time.Now()}}}), nil)
					m.state[id] = Released
					return
				}
				agree(rt, any(rt).Settle(ctx, m.claim[id], Settlement{Results: map[int]Result{0: {Outcome: Pending, Detail: "450"}}, RetryIn: time.Hour}), nil)
				m.state[id], m.due[id] = Held, false
			},
			"": func(rt *rapid.T) { // after each step
				for id, want := range m.state {
					if h, err := any(rt).Get(ctx, id); err != nil || h.State != want {
						rt.Fatalf("%s: %v %v, the picture says %s", id, h, err, want)
					}
				}
				s, err := any(rt).Stats(ctx)
				if err != nil {
					rt.Fatal(err)
				}
				for _, state := range []State{Held, Releasing, Released, Recalled} {
					if s.Count[state] != len(m.ids(state)) {
						rt.Fatalf("%d are counted as %s, the picture has %d", s.Count[state], state, len(m.ids(state)))
					}
				}
			},
		})
	})
}

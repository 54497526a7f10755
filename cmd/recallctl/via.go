package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/release"
)

// viaSendmail is the only value of --via.
const viaSendmail = "sendmail"

const (
	sendmailMost  = 500              // recipients of one call: an argument list has a limit
	sendmailLease = 10 * time.Second // with less lease left, a daemon may soon send the same message
)

// bySendmail hands messages to sendmail(1), one after the other, without a daemon. A message is read whole, with a
// lease on it, before sendmail is started, and counts as sent when sendmail has taken it. Whatever fails, the message
// stays held.
func (a *act) bySendmail(ctx context.Context, ids []string) error {
	program, err := sendmailProgram()
	if err != nil {
		return err
	}
	by, sent, failed := a.who(), 0, 0
	bar := a.progress(len(ids))
	defer bar.done()
	for n, id := range ids {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: %d of %s sent, %d failed; the same command goes on with the rest", sent,
				count(len(ids)), failed)
		}
		bar.at(n)
		err := a.sendOne(context.WithoutCancel(ctx), program, id, by)
		switch {
		case errors.Is(err, holdstore.ErrUnavailable):
			return fmt.Errorf("%d of %s sent, then: %w; the same command goes on with the rest", sent, count(len(ids)), err)
		case err != nil:
			failed++
			bar.done()
			a.failure(id, fmt.Errorf("not sent, it stays as it is: %s", holdstore.Reason(err)))
		default:
			sent++
		}
	}
	bar.done()
	if failed > 0 {
		return &exit{exitTooLate, fmt.Sprintf("%d of %s sent by sendmail, %d not", sent, count(len(ids)), failed)}
	}
	a.say("%s sent by sendmail", count(sent))
	return nil
}

func sendmailProgram() (string, error) {
	for _, name := range []string{"sendmail", "/usr/sbin/sendmail", "/usr/lib/sendmail"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", usage("there is no sendmail program here, and nothing was changed")
}

// sendOne sends one message to the recipients that are still pending.
func (a *act) sendOne(ctx context.Context, program, id string, by holdstore.Actor) error {
	c, err := a.store.ClaimOne(ctx, id, "by sendmail(1)", by)
	if err != nil {
		return err
	}
	message, err := io.ReadAll(a.store.Content(ctx, &c.Hold))
	if err == nil {
		err = speakable(&c.Hold)
	}
	st := holdstore.Settlement{Results: map[int]holdstore.Result{}, Detail: "taken by sendmail(1), by " + by.By}
	for _, call := range calls(&c.Hold) {
		if err == nil {
			err = hand(ctx, c, program, call.args, message)
		}
		for _, n := range call.recipients {
			if err == nil {
				st.Results[n] = holdstore.Result{Outcome: holdstore.Sent, Detail: "taken by sendmail(1)"}
			}
		}
	}
	switch {
	case err == nil:
		a.acted(&c.Hold, "release")
		if err = release.Settle(ctx, a.store, c, st); err != nil {
			err = fmt.Errorf("hold %s: sendmail has taken it, but that could not be written, so it may be sent again: %w", id,
				err)
		}
		return err
	case len(st.Results) == 0:
		return errors.Join(err, a.unsent(ctx, c, by, err))
	}
	st.RetryIn, st.Detail = max(time.Until(c.Due), time.Second), "by sendmail(1): "+err.Error()
	return errors.Join(fmt.Errorf("only %d of its recipients: %w", len(st.Results), err),
		release.Settle(ctx, a.store, c, st))
}

// unsent gives a message back of which nothing was sent, and says so where its claim is told as a release.
func (a *act) unsent(ctx context.Context, c *holdstore.Claim, by holdstore.Actor, why error) error {
	detail := "not sent by sendmail(1), it stays held: " + holdstore.Reason(why)
	return errors.Join(a.store.Audit(ctx, "release", c.ID, by, detail),
		a.store.Note(ctx, c.ID, holdstore.Event{Verb: "retry", By: by.By, Detail: detail}), a.store.GiveBack(ctx, c))
}

// speakable refuses what sendmail(1) can't be told: the message would leave without what its sender demanded.
func speakable(h *holdstore.Hold) error {
	if slices.ContainsFunc(h.Sender.Args, func(arg string) bool { return strings.EqualFold(arg, "REQUIRETLS") }) {
		return errors.New("its sender demands REQUIRETLS, which sendmail(1) can't be told")
	}
	return nil
}

// call is one run of sendmail(1).
type call struct {
	args       []string
	recipients []int // their indexes
}

// calls lists the runs that send a message: one for each way of notification, and for so many recipients.
func calls(h *holdstore.Hold) (all []call) {
	var ways []string
	groups := map[string][]int{}
	for n, r := range h.Results {
		if r.Outcome != holdstore.Pending {
			continue
		}
		way := argument(h.Recipients[n].Args, "NOTIFY")
		if groups[way] == nil {
			ways = append(ways, way)
		}
		groups[way] = append(groups[way], n)
	}
	for _, way := range ways {
		for some := range slices.Chunk(groups[way], sendmailMost) {
			args := append(senderArgs(h), notifyArgs(way)...)
			args = append(args, "--")
			for _, n := range some {
				args = append(args, h.Recipients[n].Address)
			}
			all = append(all, call{args, some})
		}
	}
	return all
}

func senderArgs(h *holdstore.Hold) []string {
	args := []string{"-i", "-f", orNull(h.Sender.Address)}
	if v := argument(h.Sender.Args, "RET"); v != "" {
		args = append(args, "-R", strings.ToLower(v))
	}
	if v := argument(h.Sender.Args, "ENVID"); v != "" {
		args = append(args, "-V", v)
	}
	return args
}

func notifyArgs(way string) []string {
	if way == "" {
		return nil
	}
	return []string{"-N", strings.ToLower(way)}
}

// argument is the value of an ESMTP argument; "": it is not there.
func argument(args []string, name string) string {
	for _, arg := range args {
		if key, value, _ := strings.Cut(arg, "="); strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// hand runs sendmail(1) as long as the lease surely runs.
func hand(ctx context.Context, c *holdstore.Claim, program string, args []string, message []byte) error {
	left := c.LeaseLeft() - sendmailLease
	if left <= 0 {
		return errors.New("reading it took too long")
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var words bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(bytes.ReplaceAll(message, []byte("\r\n"),
		[]byte("\n"))), &words, &words
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sendmail: %w: %s", err, strings.Join(strings.Fields(words.String()), " "))
	}
	return nil
}

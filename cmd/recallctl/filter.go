package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/criteria"
	"github.com/recall-milter/recall-milter/internal/hint"
)

// wanted is the value of a flag that selects. An empty one, such as that of a variable that a script has not set, would
// select everything.
type wanted string

// Set takes what was typed.
func (w *wanted) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("empty") // flawed says what that means
	}
	*w = wanted(text)
	return nil
}

func (w *wanted) String() string { return string(*w) }

// Type is what help calls it.
func (*wanted) Type() string { return "string" }

// filter is the flags that select messages in place of REFs.
type filter struct {
	query        holdstore.Query
	since, until string
	all          bool
}

func (f *filter) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var((*wanted)(&f.query.Sender), "sender",
		"envelope sender: an `address`, @domain, a pattern with * and ?, or <> for bounces")
	flags.Var((*wanted)(&f.query.Recipient), "recipient", "envelope recipient: an `address`, @domain, or a pattern")
	flags.Var((*wanted)(&f.query.MessageID), "message-id", "the `Message-ID`, with or without <>")
	flags.Var((*wanted)(&f.query.Subject), "subject", "a part of the subject, or a pattern for all of it")
	flags.Var((*wanted)(&f.query.Login), "login", "SASL `login`, or a pattern")
	flags.Var((*wanted)(&f.query.Client), "client", "client `address`, or a network like 192.0.2.0/24")
	flags.Var((*wanted)(&f.since), "since",
		"held since `time`: 90m or 5d ago, yesterday, 09:30, 2026-05-01, 2026-05-01 09:30")
	flags.Var((*wanted)(&f.until), "until", "held until `time`")
	flags.BoolVar(&f.all, "all", false, "every message of the states that the verb is about")
}

// given says whether any flag selects.
func (f *filter) given() bool {
	q := f.query
	return f.all || f.since+f.until+q.Sender+q.Recipient+q.Subject+q.Login+q.Client+q.MessageID != ""
}

// words are the flags as they are typed, each with a blank before it; empty: there is none that leaves a message out.
func (f *filter) words() string {
	q, words := f.query, ""
	for _, flag := range [][2]string{{"sender", q.Sender}, {"recipient", q.Recipient}, {"message-id", q.MessageID},
		{"subject", q.Subject}, {"login", q.Login}, {"client", q.Client}, {"since", f.since}, {"until", f.until}} {
		if flag[1] != "" {
			words += " --" + flag[0] + " " + hint.Quoted(flag[1])
		}
	}
	return words
}

// everything says whether no flag leaves a message out.
func (f *filter) everything() bool {
	plain := *f
	plain.all = false
	return !plain.given()
}

// ready returns the query for holds in these states.
func (f *filter) ready(states ...holdstore.State) (q holdstore.Query, err error) {
	q = f.query
	q.Sender, q.Recipient = criteria.Address(q.Sender), criteria.Address(q.Recipient)
	q.States = states
	now := time.Now()
	if q.Since, err = moment("since", f.since, now); err != nil {
		return q, err
	}
	if q.Until, err = moment("until", f.until, now); err != nil {
		return q, err
	}
	if !q.Until.IsZero() && q.Until.Before(q.Since) {
		return q, usage("--until %s is before --since %s", f.until, f.since)
	}
	return q, nil
}

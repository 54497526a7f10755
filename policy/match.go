package policy

import (
	"cmp"
	"time"
)

// Fit says how well a message fits what a recall says of it: from exact to loose. The best that there is decides.
type Fit struct {
	Subject    SubjectFit
	Recipients RecipientFit
}

// Compare is negative when f fits better than o.
func (f Fit) Compare(o Fit) int {
	return cmp.Or(cmp.Compare(f.Subject, o.Subject), cmp.Compare(f.Recipients, o.Recipients))
}

// RecipientFit says how well the recipients of a recall fit a message's. Less is better.
type RecipientFit int

// Levels of a fit.
const (
	SameRecipients  RecipientFit = iota
	MoreRecipients               // others got the message too
	OtherRecipients              // somebody whom the recall is for did not get it
)

// FitRecipients compares two sets of addresses, or of hashes of them; both are compared as they are.
func FitRecipients(recall, message []string) RecipientFit {
	got := map[string]bool{}
	for _, address := range message {
		got[address] = true
	}
	named := map[string]bool{}
	for _, address := range recall {
		if !got[address] {
			return OtherRecipients
		}
		named[address] = true
	}
	if len(named) < len(got) {
		return MoreRecipients
	}
	return SameRecipients
}

// SentAfter says whether a message was sent after a command, so that the command can't mean it. Both Date fields are
// their sender's, so that the clocks are the same; message is the zero time when it has none, and then came decides,
// when we got it by our own clock. A command without a Date is after all.
func SentAfter(message, came, command time.Time) bool {
	switch {
	case command.IsZero():
		return false
	case message.IsZero():
		return came.Sub(command) > slack
	}
	return message.After(command)
}

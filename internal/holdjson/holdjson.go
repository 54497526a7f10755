// Package holdjson writes holds as JSON, the same for recallctl and the API; the names are the contract's.
package holdjson

import (
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Hold is a hold in JSON.
type Hold struct {
	ID         string      `json:"id"`
	State      string      `json:"state"`
	QueueID    string      `json:"queue_id"`
	MessageID  string      `json:"message_id"`
	Sender     string      `json:"sender"`
	Recipients []Recipient `json:"recipients"`
	Login      string      `json:"login"`
	Client     string      `json:"client"`
	Size       int64       `json:"size"`
	Subject    string      `json:"subject"`
	Rule       string      `json:"rule"`
	Reason     string      `json:"reason,omitempty"` // of the rule, in the site's words
	Grace      string      `json:"grace"`
	HeldAt     time.Time   `json:"held_at"`
	DueAt      time.Time   `json:"due_at"`
}

// Recipient is one recipient of a hold, with what became of it.
type Recipient struct {
	Address string `json:"address"`
	Result  string `json:"result"`
	Detail  string `json:"detail"`
}

// Details is a hold with all that is known of it.
type Details struct {
	Hold
	Attempts int               `json:"attempts"`
	Timeline []holdstore.Event `json:"timeline"`
	Header   string            `json:"header"`
}

// Of writes a hold, and why it waits.
func Of(h *holdstore.Hold, reason string) Hold {
	out := Hold{ID: h.ID, State: string(h.State), QueueID: h.QueueID, MessageID: h.MessageID, Sender: h.Sender.Address,
		Login: h.Login, Client: h.Client.Address, Size: h.Size, Subject: h.Subject, Rule: h.Rule, Reason: reason,
		Grace: h.Grace.String(), HeldAt: h.HeldAt, DueAt: h.Due, Recipients: []Recipient{}}
	for i, r := range h.Results {
		out.Recipients = append(out.Recipients, Recipient{h.Recipients[i].Address, string(r.Outcome), r.Detail})
	}
	return out
}

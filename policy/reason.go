package policy

// Reason is why a message that leaves is held, or passes unheld. That of a verdict on an inbound recall is a text.
type Reason struct {
	Code ReasonCode // for programs
	Text string     // for people, in a few words
}

// String returns the words for people.
func (r Reason) String() string { return r.Text }

// Given says whether there is a reason; the zero Reason is none.
func (r Reason) Given() bool { return r.Code != "" }

// ReasonCode is the kind of a reason.
type ReasonCode string

// The kinds of reasons.
const (
	ByRule      ReasonCode = "rule"         // a rule of the site, with a grace or without
	ByWish      ReasonCode = "wish"         // the sender asked for this grace
	Inbound     ReasonCode = "inbound"      // the message does not leave
	NullSender  ReasonCode = "null_sender"  // a bounce, or another answer of a program
	OwnMail     ReasonCode = "own"          // a gateway has released it already
	TooLarge    ReasonCode = "too_large"    // for a hold, or for the way back
	AddressTest ReasonCode = "address_test" // sendmail -bv asks what would become of a message
	Recall      ReasonCode = "recall"       // it is a recall command
)

package policy_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// A message of a person who has signed in is held, for as long as the first rule says that matches.
func ExampleOutbound_Decide() {
	board, err := policy.ParsePatterns([]string{"*@board.example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := policy.NewOutbound(policy.Options{
		Authenticated: true,
		Grace:         2 * time.Minute,
		Rules: []policy.Rule{{Name: "board",
			Conditions: []policy.Condition{policy.IfRecipient(board)}, Grace: 10 * time.Minute}},
	})
	v := rules.Decide(policy.Facts{
		Known:      policy.AtEnd,
		Login:      "anna",
		Client:     netip.MustParseAddr("192.0.2.7"),
		Sender:     "anna@corp.example",
		Recipients: []string{"max@x.example", "chair@board.example"},
	})
	fmt.Println(v.Hold, v.Grace, v.Reason)
	// Output: true 10m0s rule board: grace 10m
}

// A pattern that begins with "!" excludes what the others include.
func ExampleParsePatterns() {
	partners, err := policy.ParsePatterns([]string{"*.example", "!shop.example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(partners.Match("bank.example"), partners.Match("shop.example"), partners.Match("bank.test"))
	// Output: true false false
}

// A recall that names all recipients of a message fits it better than one that names some of them.
func ExampleFitRecipients() {
	message := []string{"bert@far.example", "carol@far.example"}
	all := policy.FitRecipients([]string{"carol@far.example", "bert@far.example"}, message)
	some := policy.FitRecipients([]string{"bert@far.example"}, message)
	fmt.Println(all < some)
	// Output: true
}

// Reply words, also translated ones, are not part of a subject; "Sales:" is.
func ExampleWithoutReplyWords() {
	fmt.Println(policy.WithoutReplyWords("Re: AW: price list"))
	fmt.Println(policy.WithoutReplyWords("Sales: price list"))
	// Output:
	// price list
	// Sales: price list
}

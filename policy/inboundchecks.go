package policy

import "slices"

// judgement is a command before a rule, and the message that the command can mean; nil: there is none.
type judgement struct {
	InboundRule
	Command
	target *Arrived
}

// inboundCheck is something that must hold for a recall command. result and reason are the verdict if it does not.
type inboundCheck struct {
	step   string
	holds  func(j *judgement) bool
	result string
	reason func(j *judgement) string
}

// inboundChecks go from what the command is, over who sent it, to what it asks for. Later ones rely on earlier ones:
// from "a message came in" on there is a target. Each refusal has a row in docs/inbound.md and a case in
// internal/inbound/verdicts_test.go. A reason is shown as it is, in English: in X-Recall-Policy, the SMTP reply, the
// audit trail and the log. Metrics count verdicts only.
var inboundChecks = []inboundCheck{
	{"the command is well formed", func(j *judgement) bool { return j.Defect == "" },
		InboundFail, func(j *judgement) string { return j.Defect }},
	{"it has an envelope sender", func(j *judgement) bool { return !j.NullSender },
		InboundFail, says("null sender")},
	{"its domain is a partner", func(j *judgement) bool { return j.Domain != "" && j.Partners.Match(j.Domain) },
		InboundFail, says("domain is not a partner")},
	{"everything could be asked", func(j *judgement) bool { return j.Aligned || j.Temporary == "" },
		InboundTemp, func(j *judgement) string { return j.Temporary }},
	{"it is not from outside with a domain of ours and no evidence",
		func(j *judgement) bool { return j.Aligned || !j.Local },
		InboundFail, says("forged, a local domain without evidence")},
	{"the sender is aligned", func(j *judgement) bool { return j.Aligned || !j.needsAligned() },
		InboundFail, func(j *judgement) string { return "sender not authenticated, " + j.Why }},
	{"the sender is aligned, or a Cancel-Key proves it", func(j *judgement) bool { return j.Aligned || j.unlocked() },
		InboundFail, says(noKey)},
	{"it is not expired", func(j *judgement) bool { return j.fresh(j.MaxAge) },
		InboundFail, says("the command is expired")},
	{"the domain keeps the rate", func(j *judgement) bool { return j.Keeps(j.Command) },
		InboundFail, says("too many recalls from this domain")},
	{"it is seen for the first time", func(j *judgement) bool { return !j.Used },
		InboundFail, says("the command was used before")},
	{"a message of that sender to that recipient came in", func(j *judgement) bool { return j.target != nil },
		InboundNone, says("no message of that sender to that recipient is known")},
	{"the message is not too old", func(j *judgement) bool { return j.Now.Sub(j.target.At) <= j.MaxAge },
		InboundFail, says("the message is too old")},
	{"it does not come through a mailing list, or a Cancel-Key proves it", (*judgement).ofOnePerson,
		InboundFail, says("came through a mailing list, where only a Cancel-Key says who asks")},
	{"a Cancel-Key opens its Cancel-Lock, or none is asked for",
		func(j *judgement) bool { return j.unlocked() || !j.demands("cancel_key") },
		InboundFail, says(noKey)},
}

const noKey = "no Cancel-Key that opens the message's Cancel-Lock"

func says(text string) func(*judgement) string { return func(*judgement) string { return text } }

// demands says whether the rule requires a proof.
func (j *judgement) demands(proof string) bool { return slices.Contains(j.Require, proof) }

// needsAligned says whether only an aligned sender counts. A domain of ours always has to be.
func (j *judgement) needsAligned() bool {
	return j.demands("aligned") || j.Local || !j.demands("cancel_key")
}

// unlocked says whether a key of the command opens the lock of the message.
func (j *judgement) unlocked() bool { return j.target != nil && j.target.Unlocked }

// ofOnePerson says whether the command comes from one person. Through a list, all its members look the same.
func (j *judgement) ofOnePerson() bool { return j.unlocked() || !j.List && !j.target.Shared }

package policy

// Question is what a rule wants to know of a socketmap, a service that somebody else runs, or of the memory of
// correspondents. The policy asks nobody; it says in Verdict.Asks what it needs to know, and finds the answers in
// Facts.Answers.
type Question struct {
	Map    string // the name of a socketmap; WrittenTo or DomainKnown
	Key    string // in lower case
	Sender string // of WrittenTo: whose correspondent the key is
}

// Answer is what is said of a key; the zero value is that nobody could be asked.
type Answer struct {
	Known bool   // it has answered
	Found bool   // it has the key
	Text  string // what it has for the key
}

// Socketmap is a list that only its server has: a value is in it when the server has the value in lower case as a key.
// It is only for the conditions of rules, which wait for an answer.
type Socketmap string

// Name is the address and the name of the map.
func (m Socketmap) Name() string { return string(m) }

// Entries returns none: nobody but the server knows them.
func (m Socketmap) Entries() *Entries { return &Entries{} }

// has asks whether a map has a key.
func (f *Facts) has(m Socketmap, key string) (answer, string) {
	return f.ask(Question{Map: string(m), Key: lowered(key)})
}

// ask returns the answer to a question; unknown until it has come. It notes a question that nobody has asked yet.
func (f *Facts) ask(q Question) (answer, string) {
	a, asked := f.Answers[q]
	switch {
	case a.Known && a.Found:
		return yes, a.Text
	case a.Known:
		return no, ""
	case !asked && f.asks != nil:
		f.asks[q] = true
	}
	return unknown, ""
}

package policy

import "fmt"

// Condition is one thing that a rule asks of a message. All conditions are made here; the config has one row for each
// (config.conditions).
type Condition struct {
	words string // for people
	known Stage  // from when on it can be answered
	files bool   // it needs Facts.Files
	holds func(p *Outbound, f *Facts) (answer, Mention)
}

// IfSender asks for the envelope sender.
func IfSender(l Patterns) Condition {
	return inList("sender", AtMail, l, func(f *Facts) []string { return []string{f.Sender} })
}

// IfLogin asks for the SASL login; mail without one is in no list.
func IfLogin(l Patterns) Condition {
	return inList("login", AtMail, l, func(f *Facts) []string { return present(f.Login) })
}

// IfDaemonName asks for the MTA's service.
func IfDaemonName(l Patterns) Condition {
	return inList("daemon_name", AtMail, l, func(f *Facts) []string { return []string{f.DaemonName} })
}

// IfRecipient asks for an envelope recipient; one is enough.
func IfRecipient(l Patterns) Condition {
	return inList("recipient", AtHeaders, l, func(f *Facts) []string { return f.Recipients })
}

// IfAllRecipients asks for all envelope recipients.
func IfAllRecipients(l Patterns) Condition {
	return Condition{fmt.Sprintf("all_recipients %v", l), AtHeaders, false,
		func(_ *Outbound, f *Facts) (answer, Mention) { return l.every(f.Recipients, f) }}
}

// IfClient asks for the address of the client.
func IfClient(n Networks) Condition {
	return simple(fmt.Sprintf("client %v", n), AtMail,
		func(_ *Outbound, f *Facts) bool { return n.Contains(f.Client) })
}

// IfRecipients asks for the number of envelope recipients.
func IfRecipients(b Bound) Condition {
	return simple("recipients "+b.String(), AtHeaders,
		func(_ *Outbound, f *Facts) bool { return b.holds(len(f.Recipients)) })
}

// IfExternalDomains asks for the number of recipient domains that are not in Options.LocalDomains.
func IfExternalDomains(b Bound) Condition {
	return simple("external_domains "+b.String(), AtHeaders,
		func(p *Outbound, f *Facts) bool { return b.holds(externalDomains(f.Recipients, p.o.LocalDomains)) })
}

// IfHeader asks for a field of this name whose text is in the list. A field that is absent is in no list, not even in
// one of exclusions.
func IfHeader(name string, l Patterns) Condition {
	return Condition{fmt.Sprintf("header %s %v", name, l), AtHeaders, false,
		func(p *Outbound, f *Facts) (answer, Mention) {
			return l.any(f.text(name, p.o.Decode), f)
		}}
}

// text returns what the fields of a name say. Many rules can ask for the same field: it is decoded once.
func (f *Facts) text(name string, decode func(string) string) []string {
	texts, known := f.texts[name]
	if known {
		return texts
	}
	for _, field := range f.Header {
		if equalFold(field.Name, name) {
			texts = append(texts, decode(field.Value))
		}
	}
	if f.texts == nil {
		f.texts = map[string][]string{}
	}
	f.texts[name] = texts
	return texts
}

// IfLarger asks for a size above a number of bytes.
func IfLarger(than int64) Condition {
	return simple(fmt.Sprintf("size above %d bytes", than), AtEnd,
		func(_ *Outbound, f *Facts) bool { return f.Size > than })
}

// IfSmaller asks for a size below a number of bytes.
func IfSmaller(than int64) Condition {
	return simple(fmt.Sprintf("size below %d bytes", than), AtEnd,
		func(_ *Outbound, f *Facts) bool { return f.Size < than })
}

func inList(name string, known Stage, l Patterns, values func(*Facts) []string) Condition {
	return Condition{fmt.Sprintf("%s %v", name, l), known, false,
		func(_ *Outbound, f *Facts) (answer, Mention) { return l.any(values(f), f) }}
}

func simple(words string, known Stage, holds func(*Outbound, *Facts) bool) Condition {
	return Condition{words, known, false,
		func(p *Outbound, f *Facts) (answer, Mention) { return truth(holds(p, f)), Mention{} }}
}

// IfAttachment asks for the name or the media type of a file in the message.
func IfAttachment(l Patterns) Condition {
	return Condition{fmt.Sprintf("attachment %v", l), AtEnd, true, func(_ *Outbound, f *Facts) (answer, Mention) {
		result := no
		if f.MoreFiles {
			result = unknown
		}
		for _, file := range f.Files {
			a, by := l.named(f, present(file.Name, file.Type))
			if by.Value = file.String(); a == yes {
				return yes, by
			}
			result = max(result, a)
		}
		return result, Mention{}
	}}
}

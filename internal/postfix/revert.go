package postfix

import (
	"slices"
	"strings"
)

// revert undoes in a file what turned "before" into "after", whatever else was changed since. Lines that are still what
// they were made are put back byte for byte. In a list that somebody has edited meanwhile only the entries are put
// back. Any other value that somebody has edited stays, and is named in stays. Lines of a key that keep names are left
// alone.
func revert(name, before, after, now string, keep func(key string) bool) (text string, stays []string) {
	if now == after && keep == nil {
		return before, nil
	}
	r := &reverter{before: readCF(name, before), after: readCF(name, after), now: readCF(name, now)}
	for _, key := range r.places() {
		if keep == nil || !keep(key) {
			r.line(key)
		}
	}
	return r.now.String(), r.stays
}

type reverter struct {
	before, after, now *cf
	stays              []string
}

// places lists the keys that differ.
func (r *reverter) places() (keys []string) {
	for _, key := range slices.Concat(r.after.keys(), r.before.keys()) {
		if r.before.all(key) != r.after.all(key) && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// line reverts the line of one key.
func (r *reverter) line(key string) {
	was, made, is := r.before.all(key), r.after.all(key), r.now.all(key)
	switch {
	case is == made:
		r.now.put(key, was, r.behind(key))
		r.dropComments(key, was)
	case r.now.master && (is == "" || made == ""):
		if is == "" && was != "" {
			r.stays = append(r.stays, key) // somebody removed the service
		}
	case r.now.master && was == "":
		r.now.put(key, "", "") // a service of ours, whatever was added to it
	default:
		r.settings(key, was, made, is)
	}
}

// behind is the key before a line that a setup removed.
func (r *reverter) behind(key string) (last string) {
	for _, l := range r.before.lines {
		if l.key == key {
			return last
		}
		if l.key != "" {
			last = l.key
		}
	}
	return ""
}

// dropComments removes the comments that postconf(1) left behind a line when it joined the line: they are in it again.
func (r *reverter) dropComments(key, text string) {
	left := comments(text)
	at := slices.IndexFunc(r.now.lines, func(l logical) bool { return l.key == key })
	if at < 0 || len(left) == 0 || at+len(left) >= len(r.now.lines) {
		return
	}
	for n, line := range left {
		if r.now.lines[at+1+n].text != line {
			return
		}
	}
	r.now.lines = slices.Delete(r.now.lines, at+1, at+1+len(left))
}

// settings reverts a line that somebody has edited, one setting at a time.
func (r *reverter) settings(key, was, made, is string) {
	text := is
	seen := map[string]bool{}
	for _, s := range slices.Concat(r.after.values(made), r.before.values(was)) {
		if seen[s.name] {
			continue
		}
		seen[s.name] = true
		old, had := r.before.value(was, s.name)
		ours, _ := r.after.value(made, s.name)
		if was, made := had, contains(r.after.values(made), s.name); was == made && old == ours {
			continue
		}
		current, _ := r.now.value(text, s.name)
		value, fine := reverted(s.name, old, ours, current)
		if !fine {
			r.stays = append(r.stays, place(key, s.name))
		}
		if remove := value == "" && !had && fine; remove || value != current {
			text = r.now.with(text, s.name, value, remove)
		}
	}
	if !r.same(text, was) {
		r.now.put(key, text, "")
		return
	}
	r.now.put(key, was, "")
	r.dropComments(key, was)
}

// same says whether two lines differ in blanks and comments only.
func (r *reverter) same(a, b string) bool {
	equal := func(x, y setting) bool { return x.name == y.name && Compact(x.value) == Compact(y.value) }
	return a != "" && b != "" && slices.EqualFunc(r.now.values(a), r.now.values(b), equal) &&
		(!r.now.master || slices.Equal(strings.Fields(bare(a))[:8], strings.Fields(bare(b))[:8]))
}

func contains(all []setting, name string) bool {
	return slices.ContainsFunc(all, func(s setting) bool { return s.name == name })
}

// place names a setting as postconf(1) does.
func place(key, name string) string {
	if key == name {
		return name
	}
	return key + "/" + name
}

// reverted is a value in which a change from old to ours is undone; false: somebody has set another one, which stays.
func reverted(name, old, ours, current string) (value string, fine bool) {
	if Compact(current) == Compact(ours) {
		return old, true
	}
	was, made, is := entries(old), entries(ours), entries(current)
	changed := slices.Concat(without(was, made), without(made, was))
	if !strings.HasSuffix(name, "_milters") && slices.ContainsFunc(changed,
		func(e string) bool { return !milterLike(e) }) {
		return current, Compact(current) == Compact(old)
	}
	result := without(is, without(made, was))
	for _, entry := range without(without(was, made), result) {
		result = inserted(result, was, entry)
	}
	if slices.EqualFunc(result, was, sameEntry) {
		return old, true
	}
	return strings.Join(result, ", "), true
}

// milterLike says whether an entry of a list, of whatever name, can be a milter.
func milterLike(entry string) bool {
	return slices.ContainsFunc(Milters(entry), func(m Milter) bool {
		kind, _, _ := strings.Cut(m.Address, ":")
		return kind == "inet" || kind == "inet6" || kind == "unix" || kind == "local"
	})
}

func sameEntry(a, b string) bool { return Compact(a) == Compact(b) }

// without is list less the entries of others.
func without(list, others []string) (left []string) {
	for _, entry := range list {
		if !slices.ContainsFunc(others, func(o string) bool { return sameEntry(o, entry) }) {
			left = append(left, entry)
		}
	}
	return left
}

// inserted puts an entry into a list at the place that it had in another one: behind its nearest neighbour of there.
func inserted(list, was []string, entry string) []string {
	at := slices.IndexFunc(was, func(e string) bool { return sameEntry(e, entry) })
	for _, before := range slices.Backward(was[:at]) {
		if n := slices.IndexFunc(list, func(e string) bool { return sameEntry(e, before) }); n >= 0 {
			return slices.Insert(list, n+1, entry)
		}
	}
	for _, next := range was[at+1:] {
		if n := slices.IndexFunc(list, func(e string) bool { return sameEntry(e, next) }); n >= 0 {
			return slices.Insert(list, n, entry)
		}
	}
	return append(list, entry)
}

package policy

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"
)

// compileFolded compiles a regular expression in which "." matches every character and ASCII letters match in either
// case. Go's own (?i) also takes U+017F for s and U+212A for k: with it, a pattern for one person would match another.
func compileFolded(expression string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(folded(tree).String())
}

// folded rewrites a parsed expression so that ASCII letters, and only those, match in either case.
func folded(tree *syntax.Regexp) *syntax.Regexp {
	for n, sub := range tree.Sub {
		tree.Sub[n] = folded(sub)
	}
	switch tree.Op {
	case syntax.OpLiteral:
		return foldedLiteral(tree)
	case syntax.OpCharClass:
		if tree.Flags&syntax.FoldCase != 0 { // (?i) in the expression itself: leave what is not ASCII as it was written
			tree.Rune = without(tree.Rune, 0x17f, 0x212a)
		}
		tree.Rune = foldedClass(tree.Rune)
	}
	return tree
}

// foldedLiteral makes a class of each ASCII letter of a literal.
func foldedLiteral(tree *syntax.Regexp) *syntax.Regexp {
	concat := &syntax.Regexp{Op: syntax.OpConcat, Flags: tree.Flags}
	for _, r := range tree.Rune {
		one := &syntax.Regexp{Op: syntax.OpLiteral, Rune: []rune{r}, Flags: tree.Flags &^ syntax.FoldCase}
		if lower, upper := asciiCases(r); lower != upper {
			one = &syntax.Regexp{Op: syntax.OpCharClass, Rune: []rune{upper, upper, lower, lower}}
		}
		concat.Sub = append(concat.Sub, one)
	}
	return concat
}

// foldedClass adds the other case of the ASCII letters in a class, given as pairs of first and last. The parser has
// already turned [^a] into all that is not "a": such a class reaches the last character, and what it lacks is what is
// folded.
func foldedClass(pairs []rune) []rune {
	if len(pairs) > 0 && pairs[len(pairs)-1] == unicode.MaxRune {
		return complement(foldedClass(complement(pairs)))
	}
	all := slices.Clone(pairs)
	for n := 0; n+1 < len(pairs); n += 2 {
		for r := pairs[n]; r <= min(pairs[n+1], unicode.MaxASCII); r++ {
			lower, upper := asciiCases(r)
			all = append(all, lower, lower, upper, upper)
		}
	}
	return sorted(all)
}

// asciiCases returns both cases of an ASCII letter, and for any other character twice itself.
func asciiCases(r rune) (lower, upper rune) {
	switch {
	case 'a' <= r && r <= 'z':
		return r, r - 'a' + 'A'
	case 'A' <= r && r <= 'Z':
		return r - 'A' + 'a', r
	}
	return r, r
}

// sorted orders pairs, and joins those that meet.
func sorted(pairs []rune) []rune {
	var in [][2]rune
	for n := 0; n+1 < len(pairs); n += 2 {
		in = append(in, [2]rune{pairs[n], pairs[n+1]})
	}
	slices.SortFunc(in, func(a, b [2]rune) int { return int(a[0] - b[0]) })
	var out []rune
	for _, p := range in {
		if last := len(out) - 1; last > 0 && p[0] <= out[last]+1 {
			out[last] = max(out[last], p[1])
			continue
		}
		out = append(out, p[0], p[1])
	}
	return out
}

// complement returns the pairs of all characters that are not in pairs, which are sorted.
func complement(pairs []rune) []rune {
	var out []rune
	next := rune(0)
	for n := 0; n+1 < len(pairs); n += 2 {
		if pairs[n] > next {
			out = append(out, next, pairs[n]-1)
		}
		next = pairs[n+1] + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, next, unicode.MaxRune)
	}
	return out
}

// without returns sorted pairs less some characters.
func without(pairs []rune, some ...rune) []rune {
	rest := complement(pairs)
	for _, r := range some {
		rest = append(rest, r, r)
	}
	return complement(sorted(rest))
}

// equalFold says whether two texts are the same but for the case of ASCII letters.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for n := range len(a) {
		lowerA, _ := asciiCases(rune(a[n]))
		lowerB, _ := asciiCases(rune(b[n]))
		if lowerA != lowerB {
			return false
		}
	}
	return true
}

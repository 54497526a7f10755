package config

import (
	"maps"
	"slices"
	"strconv"

	"github.com/recall-milter/recall-milter/policy"
)

// byteBound is a condition on the size of the message.
type byteBound struct{}

func (byteBound) check(*Config, *source, string, wanted) {} // it is read as what it is

func (byteBound) conditions(_ *Config, v wanted) (all []policy.Condition, _ error) {
	b := v.Interface().(SizeBound)
	if b.Above > 0 {
		all = append(all, policy.IfLarger(int64(b.Above)))
	}
	if b.Below > 0 {
		all = append(all, policy.IfSmaller(int64(b.Below)))
	}
	return all, nil
}

func (byteBound) words(v wanted) string { return v.Interface().(SizeBound).String() }

func (byteBound) never(c *Config, _ string, v wanted) string {
	if b := v.Interface().(SizeBound); b.Above > 0 && b.Above >= c.Hold.MaxSize {
		return "what is larger than hold.max_size passes unheld anyway"
	}
	return ""
}

func (byteBound) always(wanted) bool { return false }

func (byteBound) within(v, other wanted) bool {
	a, b := v.Interface().(SizeBound), other.Interface().(SizeBound)
	return b.Above > 0 && a.Above >= b.Above || b.Below > 0 && a.Below > 0 && a.Below <= b.Below
}

// joined sees bounds that meet, as ">1MB" and "<2MB" do.
func (byteBound) joined(_ wanted, others []wanted) bool {
	var above, below []int64
	for _, other := range others {
		switch b := other.Interface().(SizeBound); {
		case b.Above > 0:
			above = append(above, int64(b.Above))
		case b.Below > 0:
			below = append(below, int64(b.Below))
		}
	}
	return len(above) > 0 && len(below) > 0 && slices.Min(above) < slices.Max(below)
}

// numberBound is a condition on a number.
type numberBound struct {
	make     func(policy.Bound) policy.Condition
	external bool // it counts what is not in outbound.local_domains
}

func (numberBound) check(*Config, *source, string, wanted) {}

func (k numberBound) conditions(_ *Config, v wanted) ([]policy.Condition, error) {
	return []policy.Condition{k.make(policy.Bound(v.Interface().(CountBound)))}, nil
}

func (numberBound) words(v wanted) string {
	return policy.Bound(v.Interface().(CountBound)).String()
}

func (k numberBound) never(c *Config, key string, v wanted) string {
	b := v.Interface().(CountBound)
	switch {
	case k.external && len(c.Outbound.LocalDomains) == 0:
		return key + " needs outbound.local_domains: without it, your own domains count as external"
	case !k.external && b.Below != nil && *b.Below <= 1:
		return "every message has a recipient"
	}
	return ""
}

func (k numberBound) always(v wanted) bool {
	b := v.Interface().(CountBound)
	return !k.external && b.Above != nil && *b.Above == 0 // every message has a recipient
}

// joined sees bounds that meet, as ">3" and "<4" do.
func (numberBound) joined(_ wanted, others []wanted) bool {
	var above, below []int
	for _, other := range others {
		switch b := other.Interface().(CountBound); {
		case b.Above != nil:
			above = append(above, *b.Above)
		case b.Below != nil:
			below = append(below, *b.Below)
		}
	}
	return len(above) > 0 && len(below) > 0 && slices.Min(above) < slices.Max(below)
}

func (numberBound) within(v, other wanted) bool {
	a, b := v.Interface().(CountBound), other.Interface().(CountBound)
	return b.Above != nil && a.Above != nil && *a.Above >= *b.Above ||
		b.Below != nil && a.Below != nil && *a.Below <= *b.Below
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// flag is a condition that the memory of correspondents answers.
type flag struct{ make func(bool) policy.Condition }

func (flag) check(*Config, *source, string, wanted) {}

func (k flag) conditions(_ *Config, v wanted) ([]policy.Condition, error) {
	return []policy.Condition{k.make(v.Elem().Bool())}, nil
}

func (flag) words(v wanted) string { return strconv.FormatBool(v.Elem().Bool()) }

func (flag) never(c *Config, key string, v wanted) string {
	switch {
	case !v.Elem().Bool():
	case len(c.Outbound.LocalDomains) == 0:
		return key + " needs outbound.local_domains: without it, your own people count as external"
	case c.Hold.Remember == 0:
		return key + " needs hold.remember: nothing is known of who has written to whom"
	}
	return ""
}

func (flag) always(wanted) bool { return false }

func (flag) within(v, other wanted) bool { return v.Elem().Bool() == other.Elem().Bool() }

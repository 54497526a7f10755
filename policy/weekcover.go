package policy

import "slices"

// What windows take of the time is compared without a clock: on each kind of day, behind each kind of day, and only at
// the minutes at which one of them begins or ends.

// eachTime calls do for a minute of each stretch of time in which no window begins or ends, until it returns false.
func eachTime(holidays bool, do func(before, today, minute int) bool, all ...[]Window) bool {
	minutes := []int{0}
	for _, windows := range all {
		for _, w := range windows {
			minutes = append(minutes, w.from, w.to%dayMinutes)
		}
	}
	slices.Sort(minutes)
	minutes = slices.Compact(minutes)
	for today := range 7 {
		before := (today + 6) % 7
		kinds := [][2]int{{before, today}}
		if holidays {
			kinds = append(kinds, [2]int{before, holiday}, [2]int{holiday, today}, [2]int{holiday, holiday})
		}
		for _, k := range kinds {
			for _, minute := range minutes {
				if !do(k[0], k[1], minute) {
					return false
				}
			}
		}
	}
	return true
}

func anyOn(all []Window, before, today, minute int) bool {
	return slices.ContainsFunc(all, func(w Window) bool { return w.on(before, today, minute) })
}

// TimeWithin says whether all that lies in some windows lies in others as well; holidays: there are some.
func TimeWithin(some, others []Window, holidays bool) bool {
	return eachTime(holidays, func(before, today, minute int) bool {
		return !anyOn(some, before, today, minute) || anyOn(others, before, today, minute)
	}, some, others)
}

// NamesDays says whether a window is for some kinds of days only.
func NamesDays(w Window) bool { return w.days != everyDay }

// AllTime says whether every moment lies in one of the windows.
func AllTime(all []Window, holidays bool) bool {
	return eachTime(holidays, func(before, today, minute int) bool { return anyOn(all, before, today, minute) }, all)
}

// NoTime says whether no moment lies in one of the windows.
func NoTime(all []Window, holidays bool) bool {
	return eachTime(holidays, func(before, today, minute int) bool { return !anyOn(all, before, today, minute) }, all)
}

package postfix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrNotNamed says that no list of milters names ours.
var ErrNotNamed = errors.New("the milter is in no list of main.cf and master.cf")

// Bypass takes the milter that listens at the endpoints out of every list of main.cf and master.cf, and nothing else.
// It returns where the milter was. Resume puts it back there.
func Bypass(ctx context.Context, dir string, endpoints []Endpoint) (places []string, err error) {
	now, err := readTexts(dir, "")
	if err != nil {
		return nil, err
	}
	ours, err := ourMilter(ctx, dir, endpoints)
	if err != nil {
		return nil, err
	}
	target := maps.Clone(now)
	if places = target.strip(ours); len(places) == 0 {
		return nil, ErrNotNamed
	}
	stamp := newStamp()
	if err := now.copyTo(dir, before+bypassCopy+stamp); err != nil {
		return nil, err
	}
	if err = target.copyTo(dir, after+bypassCopy+stamp); err == nil {
		err = target.write(ctx, dir, now)
	}
	if err != nil {
		forget(dir, bypassCopy, stamp)
		return nil, err
	}
	return places, nil
}

// Bypassed returns when the milter was taken out; ok: it was, and Resume has not put it back.
func Bypassed(dir string) (since time.Time, ok bool) {
	all := stamps(dir, bypassCopy)
	if len(all) == 0 {
		return since, false
	}
	since, err := time.Parse(stampLayout, all[len(all)-1])
	return since, err == nil
}

// Resume undoes every Bypass. Lines that were edited in between keep these edits. stays names the lines that are gone,
// so that the milter could not be put back there.
func Resume(ctx context.Context, dir string) (stays []string, err error) {
	now, err := readTexts(dir, "")
	if err != nil {
		return nil, err
	}
	target, stays, err := revertAll(dir, bypassCopy, now, nil)
	if err != nil {
		return nil, err
	}
	if err := target.write(ctx, dir, now); err != nil {
		return nil, err
	}
	for _, stamp := range stamps(dir, bypassCopy) {
		forget(dir, bypassCopy, stamp)
	}
	return stays, nil
}

// Named lists the settings by which Postfix still asks the milter.
func Named(ctx context.Context, dir string, endpoints []Endpoint) (places []string, err error) {
	ours, err := ourMilter(ctx, dir, endpoints)
	if err != nil {
		return nil, err
	}
	for _, list := range milterLists {
		if ours.in(ours.config.Get(list), ours.anywhere()...) {
			places = append(places, "main.cf: "+list)
		}
	}
	for _, s := range ours.config.Services {
		for _, list := range milterLists {
			if s.Overrides(list) && ours.in(s.Get(list), s) {
				places = append(places, "master.cf: "+s.String()+"/"+list)
			}
		}
	}
	return places, nil
}

var milterLists = []string{"smtpd_milters", "non_smtpd_milters"}

// ours knows the milter by its address.
type ours struct {
	config    *Config
	endpoints []Endpoint
	written   []string // addresses that setups have written, also those of a listen that is changed since
}

func ourMilter(ctx context.Context, dir string, endpoints []Endpoint) (*ours, error) {
	c, err := Read(ctx, dir)
	if err != nil {
		return nil, err
	}
	o := &ours{config: c, endpoints: endpoints}
	for _, stamp := range stamps(dir, setupCopy) {
		was, err := readTexts(dir, before+setupCopy+stamp)
		made, wrong := readTexts(dir, after+setupCopy+stamp)
		if err := errors.Join(err, wrong); err != nil {
			return nil, fmt.Errorf("a copy of what a setup changed can't be read: %w", err)
		}
		for _, name := range files {
			o.written = append(o.written, added(readCF(name, was[name]), readCF(name, made[name]))...)
		}
	}
	return o, nil
}

// added lists the addresses that are in the lists of milters of a file and were not there before.
func added(was, made *cf) (addresses []string) {
	for _, key := range made.keys() {
		for _, s := range made.values(made.all(key)) {
			old, _ := was.value(was.all(key), s.name)
			if !slices.Contains(milterLists, s.name) {
				continue
			}
			for _, m := range Milters(strings.Join(without(entries(s.value), entries(old)), ", ")) {
				if milterLike(m.Address) {
					addresses = append(addresses, m.Address)
				}
			}
		}
	}
	return addresses
}

// anywhere stands for the services that main.cf is for, in and outside of the chroot.
func (o *ours) anywhere() []*Service {
	return []*Service{{config: o.config}, {config: o.config, Chroot: true}}
}

// in says whether a list names the milter, for one of some services.
func (o *ours) in(list string, services ...*Service) bool {
	return slices.ContainsFunc(Milters(list), func(m Milter) bool {
		return slices.Contains(o.written, m.Address) ||
			slices.ContainsFunc(services, func(s *Service) bool { return s.reachesAny(m.Address, o.endpoints) })
	})
}

// strip takes the milter out of every value that names it, also of parameters of the site's own, and says where it was.
func (t texts) strip(o *ours) (places []string) {
	for _, name := range files {
		c := readCF(name, t[name])
		for _, key := range c.keys() {
			services := o.anywhere()
			if s := o.service(key); c.master && s != nil {
				services = []*Service{s}
			}
			text := c.all(key)
			for _, s := range c.values(text) {
				kept := slices.DeleteFunc(entries(s.value), func(entry string) bool { return o.in(entry, services...) })
				if len(kept) < len(entries(s.value)) {
					text = c.with(text, s.name, strings.Join(kept, ", "), false)
					places = append(places, name+": "+place(key, s.name))
				}
			}
			if text != c.all(key) {
				c.put(key, text, "")
			}
		}
		t[name] = c.String()
	}
	return places
}

func (o *ours) service(key string) *Service {
	for _, s := range o.config.Services {
		if s.String() == key {
			return s
		}
	}
	return nil
}

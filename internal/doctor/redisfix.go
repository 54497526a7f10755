package doctor

import (
	"cmp"
	"net"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/hint"
)

// cutFix divides what the store says into what is wrong and how it is fixed.
func (s *Site) cutFix(text string) (wrong, fix string) {
	for _, verb := range []string{"run ", "free ", "allow ", "set ", "start ", "wait", "install "} {
		wrong, rest, ok := strings.Cut(text, ": "+verb)
		if !ok {
			continue
		}
		if setting, isSetting := strings.CutPrefix(rest, "CONFIG SET "); isSetting && verb == "run " {
			f := strings.Fields(setting)
			return wrong, s.configSet(f[0], f[1])
		}
		return wrong, byHand + "no command of this machine does it: " + strings.TrimPrefix(verb, "run ") + rest
	}
	return text, byHand + "the words say all that is known from here"
}

// redisCLI is a command for the one Redis that the config names; "redis-cli" alone stands for a Redis that is reached
// in another way (a login, TLS, several servers).
func (s *Site) redisCLI(command string) string {
	r := s.Config.Redis
	if !s.plainRedis() {
		return "redis-cli " + command
	}
	if path, ok := cutUnix(r.Addresses[0]); ok {
		return "redis-cli -s " + hint.Quoted(path) + " " + command
	}
	host, port, _ := net.SplitHostPort(r.Addresses[0])
	return "redis-cli -h " + hint.Quoted(host) + " -p " + port + " " + command
}

// plainRedis says whether one server is reached without login and TLS.
func (s *Site) plainRedis() bool {
	r := s.Config.Redis
	return len(r.Addresses) == 1 && cmp.Or(r.SentinelMaster, r.Username, r.PasswordFile) == "" && !r.TLS.Enabled
}

// configSet changes a setting of Redis now, and in its own config file.
func (s *Site) configSet(name, value string) string {
	if s.plainRedis() {
		return s.redisCLI("CONFIG SET "+name+" "+hint.Quoted(value)) + " && " + s.redisCLI("CONFIG REWRITE")
	}
	return byHand + "doctor has no login that can change Redis: CONFIG SET " + name + " " + hint.Quoted(value) +
		" on each server, then CONFIG REWRITE"
}

// Shares of a machine's memory, in per cent: what Redis may have at most, and what it gets where it had no limit.
const (
	mostMemory  = 75
	firstMemory = 50
)

// moreMemory gives a store room. Nothing that is held is sent early for it: whoever waits for a recall would lose it.
func (s *Site) moreMemory(h holdstore.Health) string {
	limit, all := number(h.Info["maxmemory"]), number(h.Info["total_system_memory"])
	wanted := 2 * limit
	if limit == 0 {
		wanted = all * firstMemory / 100
	}
	if wanted == 0 || wanted > all*mostMemory/100 || wanted <= number(h.Info["used_memory"]) {
		return byHand + "this machine has no more memory for Redis: give it more, or hold less (a shorter grace, a " +
			"smaller max_size under [hold] in " +
			s.File + "); what is held now leaves by itself when its grace ends"
	}
	return s.configSet("maxmemory", strconv.FormatInt(wanted>>20, 10)+"mb")
}

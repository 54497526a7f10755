package nodes

// Product is the name and version of a server, by its INFO. Valkey and others also call themselves a Redis, of the
// version whose commands they have.
func (h Health) Product() string { return product(h.Info) }

// Unfit says why a server of this product and version can't be the store; "": it can.
func (h Health) Unfit() string { return unfit(h.Info) }

// products are servers that speak Redis's protocol, by the field in which they say their own version.
var products = []struct{ field, name string }{
	{"valkey_version", "Valkey"}, {"dragonfly_version", "Dragonfly"},
	{"redis_version", "Redis"}, // also KeyDB, which has the commands of Redis 6
}

func product(info map[string]string) string {
	for _, p := range products {
		if v := info[p.field]; v != "" {
			return p.name + " " + v
		}
	}
	return "a server that does not tell its version"
}

func unfit(info map[string]string) string {
	switch {
	case info["dragonfly_version"] != "":
		return "it has no append-only file, so it can't keep what it acknowledged"
	case major(info["redis_version"]) < oldest:
		return "it does not know the flags of our scripts, and a full store could not let go what it holds"
	}
	return ""
}

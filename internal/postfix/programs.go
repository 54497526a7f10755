package postfix

// ProgramsPort returns the port to which pickup hands what programs submit by sendmail(1), by a content_filter of its
// own, so that it is held there and not where pickup takes it; nil: there is none. Postfix itself then does what a
// program asks for by -v, -N, -R and -V, which no milter is told.
func (c *Config) ProgramsPort(n Needs) *Service {
	for _, pickup := range c.Running("pickup") {
		if !pickup.Overrides("content_filter") {
			continue
		}
		for _, s := range c.Running("smtpd") {
			at := Endpoint{"tcp", s.HostPort()}
			holds := s.Type == "inet" && !n.IsPort(s) && s.has(s.Get("smtpd_milters"), n.Milter)
			if holds && LeadsTo(pickup.Get("content_filter"), at) {
				return s
			}
		}
	}
	return nil
}

package release

import "cmp"

// port is the re-injection port for a message: where the gateway's own mails go, or the one for the service by which
// the message was submitted. What a service does to its mail beyond taking it in is done at its port.
func (o *Options) port(e envelope) string {
	if e.own {
		return cmp.Or(o.OwnSMTP, o.SMTP)
	}
	if e.client == nil {
		return o.SMTP
	}
	return o.portOf(e.client.Daemon)
}

// portOf is the re-injection port for what was submitted to services with a daemon name.
func (o *Options) portOf(daemon string) string { return cmp.Or(o.ByDaemon[daemon], o.SMTP) }

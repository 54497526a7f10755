package main

import (
	"context"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// tell says a state to systemd (sd_notify(3)); without systemd it does nothing. A socket that is gone is not a reason
// to stop holding mail.
func tell(state string) { systemd.SdNotify(false, state) }

// watchdog feeds systemd's watchdog while releases go on, until ctx ends.
func watchdog(ctx context.Context, alive func() bool) {
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if alive() {
				tell(systemd.SdNotifyWatchdog)
			}
		}
	}
}

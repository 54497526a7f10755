package doctor

import "context"

func probes(context.Context, *Site, report) {}

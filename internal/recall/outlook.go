package recall

func (d *Desk) maybeOutlook(*Mail) bool { return false }
func (d *Desk) supersedes(*Mail) string { return "" }

//go:build race

package mailbox

func init() { raced = true }

package config

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// A rule whose name is that of the gateway's own mails would make mail of it: without a quota, and nobody could be
// asked for it.
func TestNoRuleIsNamedAsTheGatewaysOwnMails(t *testing.T) {
	_, err := Parse("x.toml", []byte("[[hold.rule]]\nname = \""+holdstore.OwnMailRule+"\"\nsender = [\"a@x\"]\n"))
	if err == nil || !strings.Contains(err.Error(), "own mails") {
		t.Errorf("got %v", err)
	}
}

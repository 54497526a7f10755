package milter

import (
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// The fields are what Postfix 3.7 makes for: sendmail -bv -f alice@corp.test bob@dest.test carol@dest.test
func TestAnAddressTestIsKnownByItsForm(t *testing.T) {
	form := func(change func(*holdstore.Submission, *[]policy.Field)) (holdstore.Submission, []policy.Field) {
		sub := holdstore.Submission{Recipients: []holdstore.Path{{Address: "bob@dest.test"}, {Address: "carol@dest.test"}}}
		fields := []policy.Field{{Name: "From", Value: " alice@corp.test"}, {Name: "Subject", Value: " probe"},
			{Name: "To", Value: "\tbob@dest.test,\r\n\tcarol@dest.test"}, {Name: "Message-Id", Value: " <1@gw>"},
			{Name: "Date", Value: " x"}}
		change(&sub, &fields)
		return sub, fields
	}
	for name, c := range map[string]struct {
		change func(*holdstore.Submission, *[]policy.Field)
		size   int64
		want   bool
	}{
		"as it is":    {func(*holdstore.Submission, *[]policy.Field) {}, 0, true},
		"with a body": {func(*holdstore.Submission, *[]policy.Field) {}, 1, false},
		"by SMTP":     {func(s *holdstore.Submission, _ *[]policy.Field) { s.Client.Address = "127.0.0.1" }, 0, false},
		"to others":   {func(s *holdstore.Submission, _ *[]policy.Field) { s.Recipients = s.Recipients[:1] }, 0, false},
		"another field": {func(_ *holdstore.Submission, f *[]policy.Field) { *f = append(*f, policy.Field{Name: "X-A"}) }, 0,
			false},
		"another text": {func(_ *holdstore.Submission, f *[]policy.Field) { (*f)[1].Value = " probes" }, 0, false},
		"a usual To": {func(_ *holdstore.Submission,
			f *[]policy.Field) {
			(*f)[2].Value = " bob@dest.test, carol@dest.test"
		}, 0, false},
		"no To": {func(_ *holdstore.Submission, f *[]policy.Field) { *f = (*f)[:2] }, 0, false},
	} {
		sub, fields := form(c.change)
		if got := isAddressTest(sub, fields, c.size); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

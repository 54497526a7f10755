package milter

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// addressTest is why the message of sendmail -bv is not held: only Postfix can report on it.
var addressTest = policy.Reason{
	Code: policy.AddressTest,
	Text: "sendmail -bv: an address test, which delivers nothing",
}

// isAddressTest says whether a message is what Postfix's sendmail(1) makes for -bv (and only that): milters are not
// told the option, and a hold would turn the test into a delivery. From its source: "Subject: probe", a To field with a
// tab before each recipient, no body; cleanup adds From, Date and Message-Id. A person's message of that form says
// nothing.
func isAddressTest(sub holdstore.Submission, fields []policy.Field, size int64) bool {
	if sub.Client.Address != "" || size > 0 {
		return false
	}
	var names []string
	for _, r := range sub.Recipients {
		names = append(names, "\t"+r.Address)
	}
	seen := 0
	for _, f := range fields {
		switch holdstore.Fold(f.Name) {
		case "from", "date", "message-id":
		case "subject":
			seen++
			if strings.TrimPrefix(f.Value, " ") != "probe" {
				return false
			}
		case "to":
			seen++
			if strings.TrimPrefix(f.Value, " ") != strings.Join(names, ",\r\n") {
				return false
			}
		default:
			return false
		}
	}
	return seen == 2
}

package config

import "testing"

// Microsoft's issuers for several tenants write another issuer into what they sign: nobody could sign in.
func TestAnIssuerIsOneTenant(t *testing.T) {
	t.Parallel()
	for issuer, fits := range map[string]bool{
		"https://login.microsoftonline.com/common/v2.0":            false,
		"https://login.microsoftonline.com/Organizations/v2.0":     false,
		"https://LOGIN.microsoftonline.com/consumers/v2.0/":        false,
		"https://login.microsoftonline.com/":                       false,
		"https://login.microsoftonline.us/common/v2.0":             false,
		"https://sts.windows.net/common/":                          false,
		"https://login.microsoftonline.com/9188040d-6c67/v2.0":     true,
		"https://login.microsoftonline.com/corp.example/v2.0":      true,
		"https://login.corp.test/realms/common":                    true,
		"https://login.corp.test/common":                           true,
		"https://login.microsoftonline.com.mallory.test/common/v2": true,
	} {
		if err := checkIssuer(issuer); (err == nil) != fits {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

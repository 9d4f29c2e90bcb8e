package redact

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// onePattern says of itself what secretPairs does by hand.
var onePattern = find("secret pair", `(?i:password|passwd|passwort|passphrase|\bpwd|secret|token|credential|connection[_-]?string|`+
	`(?:api|access|account|auth|client|encryption|hmac|license|master|private|shared|signing|storage)[_-]?key)`+strings.TrimPrefix(afterStem.String(), "^"))

// FuzzPairs: what is found by hand is what one pattern would find.
func FuzzPairs(f *testing.F) {
	for _, c := range texts {
		f.Add(c.text)
	}
	f.Add("apikey=1 api-key: 2 keys=3 xpwd=4 pwd=5 secret.key=6 Token => '7' password: |\n 8\n  9\n0")
	f.Add("password=" + strings.Repeat("x", 2*near) + "\ntoken" + strings.Repeat(" ", near) + "= y")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
			return // letters that only look alike
		}
		if diff := cmp.Diff(onePattern.find(text), secretPairs(text), cmp.AllowUnexported(span{})); diff != "" {
			t.Errorf("%q (-pattern +by hand):\n%s", text, diff)
		}
	})
}

func TestAKeyIsSecretByWhatItIsOf(t *testing.T) {
	for text, want := range map[string]bool{
		"api": true, "x_api_": true, "api-": true, "partition_": false, "": false, "_": false, "api__": false,
	} {
		if got := secretKey(text); got != want {
			t.Errorf("secretKey(%q) = %t, want %t", text, got, want)
		}
	}
	if got := lowered("ÄPİ-Key"); got != "Äpİ-key" {
		t.Errorf("lowered: %q, want every byte in its place", got)
	}
}

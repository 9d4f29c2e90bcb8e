package redact

import (
	"regexp"
	"strings"
)

// stems are how names of settings begin that hold secrets, or go on until they do: DB_PASSWORD,
// clientSecret. By their first letters, since every letter of a text is looked at.
var stems = map[byte][]string{
	'p': {"password", "passwd", "passwort", "passphrase", "pwd"},
	's': {"secret"},
	't': {"token"},
	'c': {"credential", "connectionstring", "connection_string", "connection-string"},
	'k': {"key"},
}

// keyOf are what a key is of, for it to be secret: a key alone may be anything.
var keyOf = []string{"api", "access", "account", "auth", "client", "encryption", "hmac", "license", "master", "private", "shared", "signing", "storage"}

// afterStem is the rest of the name and what follows it: a value in escaped quotes, in quotes, as a block
// of YAML, or bare.
var afterStem = regexp.MustCompile(`^[A-Za-z0-9_.-]*\\?["']?\s*(?::=|=>|[:=])\s*` +
	`(?:\\"(?P<escaped>[^"\\\n]+)|"(?P<quoted>(?:[^"\\\n]|\\.)+)|'(?P<single>[^'\n]+)|` +
	`[|>][-+]?[ \t]*\n[ \t]*(?P<block>[^\n]+(?:\n[ \t]+[^\n]+)*)|(?P<bare>(?:[^\s"'\\,;&]|,[^\s"'\\]|\\[^\s"nrt])+))`)

// secretPairs finds the values of what is called password, secret, token, key or credential. One pattern
// for all of it takes a hundred times as long, since nothing says where in a text it may begin.
func secretPairs(text string) (out []span) {
	lower := lowered(text)
	for at := 0; at < len(lower); {
		end, ok := stemAt(lower, at)
		if !ok {
			at++
			continue
		}
		at = end
		if value, ok := valueAfter(text[end:]); ok {
			out = append(out, span{end + value.from, end + value.to})
			at = end + value.to
		}
	}
	return out
}

// near is where a value ends, nearly always, in bytes: on texts of such a length regular expressions are
// ten times as fast.
const near = 512

// valueAfter is where the value stands in what follows a stem; false when none does.
func valueAfter(rest string) (span, bool) {
	m := afterStem.FindStringSubmatchIndex(rest[:min(len(rest), near)])
	if len(rest) > near && (m == nil || m[1] == near) { // it may end later, or even begin there
		m = afterStem.FindStringSubmatchIndex(rest)
	}
	for i := 2; i < len(m); i += 2 {
		if m[i] >= 0 {
			return span{m[i], m[i+1]}, true
		}
	}
	return span{}, false
}

// stemAt says where the stem ends that begins here.
func stemAt(lower string, at int) (end int, ok bool) {
	for _, stem := range stems[lower[at]] {
		if !strings.HasPrefix(lower[at:], stem) {
			continue
		}
		switch stem {
		case "key":
			ok = secretKey(lower[:at])
		case "pwd":
			ok = at == 0 || !wordLetter(lower[at-1])
		default:
			ok = true
		}
		if ok {
			return at + len(stem), true
		}
	}
	return 0, false
}

// secretKey says whether a key whose name begins like this is a secret.
func secretKey(before string) bool {
	if n := len(before); n > 0 && (before[n-1] == '_' || before[n-1] == '-') {
		before = before[:n-1]
	}
	for _, of := range keyOf {
		if strings.HasSuffix(before, of) {
			return true
		}
	}
	return false
}

func wordLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// lowered is the text with small letters of ASCII, byte for byte in the same place.
func lowered(text string) string {
	out := []byte(text)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + ('a' - 'A')
		}
	}
	return string(out)
}

package redact

import (
	"regexp"
	"strings"
)

func find(name, pattern string, hints ...string) rule {
	return rule{name: name, find: matches(regexp.MustCompile(pattern)), hints: hints}
}

// secretWords of settings that hold secrets, as they are in names.
var secretWords = []string{"passw", "passphrase", "pwd", "secret", "token", "key", "credential", "connection"}

const privateKey = `[A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`

// builtin rules all look at the same text. To add one: a pattern that says what surrounds the secret,
// and a case in TestRedact.
var builtin = []rule{
	find("private key", `(?s)-----BEGIN `+privateKey+`(?P<secret>.+?)-----END `+privateKey, "private key"),
	find("private key whose end is missing", `-----BEGIN `+privateKey+`(?P<secret>[A-Za-z0-9+/=\s\\]+)`, "private key"),
	find("private key whose begin is missing", `(?P<secret>[A-Za-z0-9+/=\s]{4,})-----END `+privateKey, "private key"),
	{name: "lines of a key", find: keyLines},
	find("age key", `(?i)\bAGE-SECRET-KEY-1[a-z0-9]{10,}`, "age-secret-key-1"),
	find("password in a URL", `(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"']*:(?P<secret>[^\s/"']+)@`, "://"),
	find("token in a URL", `(?i)\b[a-z][a-z0-9+.-]*://(?P<secret>[^\s/:@"'*]{16,})@`, "://"),
	find("password of a database address", `(?i)[a-z0-9_.-]+:(?P<secret>[^\s@"']+)@(?:tcp|udp|unix)\(`, "@tcp(", "@udp(", "@unix("),
	find("bearer token", `(?i)\bbearer[\s:="'\\]+(?P<secret>[a-z0-9._~+/=-]{8,})`, "bearer"),
	find("authorization header", `(?i)\bauthorization\\?["']?\s*[:=]\s*\\?["']?(?:(?:basic|digest|negotiate|token|apikey|key)\s+)?(?P<secret>[^\s"',\\]{8,}|[a-z0-9+/]{4,}=+)`, "authorization"),
	find("cookie", `(?i)\bcookie\\?["']?\s*[:=]\s*\\?["']?(?P<secret>[^\s"'\\][^\n"'\\]{3,})`, "cookie"),
	find("JSON web token", `\beyJ[A-Za-z0-9_-]{4,}\.{1,2}[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]+){0,3}`, "eyj"),
	find("AWS secret beside its key id", `\b(?:AKIA|ASIA)[A-Z0-9]{16}(?s:.{0,80}?)[^A-Za-z0-9+/](?P<secret>[A-Za-z0-9+/]{40})(?:[^A-Za-z0-9+/]|$)`, "akia", "asia"),
	find("AWS access key", `\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{16}\b`, "akia", "asia", "aroa", "aida", "agpa", "anpa"),
	find("Azure client secret", `\b[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}`, "q~"),
	find("Azure storage and bus keys", `(?i)\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=(?P<secret>[^\s;"',]+)`, "accountkey=", "sharedaccess"),
	find("Azure account key", `\b[A-Za-z0-9+/]{86}==`, "=="),
	find("signature in a URL", `(?i)[?&](?:sig|signature|x-amz-signature|x-goog-signature)=(?P<secret>[^\s&"']+)`, "sig=", "signature="),
	find("Google API key", `\bAIza[A-Za-z0-9_-]{35}`, "aiza"),
	find("Google access token", `\bya29\.[A-Za-z0-9._-]{8,}`, "ya29."),
	find("Google client secret", `\bGOCSPX-[A-Za-z0-9_-]{16,}`, "gocspx-"),
	find("GitHub token", `\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})`, "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
	find("GitLab token", `\bgl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_.-]{16,}`, "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glsoat-"),
	find("Slack token", `\bxox[abeoprs]-[A-Za-z0-9-]{8,}`, "xox"),
	find("Slack webhook", `hooks\.slack\.com/(?:services|workflows)/(?P<secret>[A-Za-z0-9/_-]+)`, "hooks.slack.com"),
	find("payment key", `\b(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{8,}`, "k_live_", "k_test_", "whsec_"),
	find("Vault token", `\bhv[sbr]\.[A-Za-z0-9_-]{20,}`, "hvs.", "hvb.", "hvr."),
	find("package registry token", `\b(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|dckr_pat_[A-Za-z0-9_-]{16,})`, "npm_", "pypi-", "dckr_pat_"),
	find("registry login", `(?i)\\?"auth\\?"\s*:\s*\\?"(?P<secret>[a-z0-9+/=]{8,})`, `"auth`),
	find("NATS seed", `\bS[ACNOUX][A-Z2-7]{56,}`),
	find("secret flag", `(?im)(?:^|[\s"'`+"`"+`\[(])--?[a-z0-9-]*(?:password|passwd|passphrase|secret|token|api-?key)\s+["']?(?P<secret>[^\s"',;-][^\s"',;]*)`, secretWords...),
	find("user flag", `(?m)(?:^|\s)(?:-u|--user)[\s=]+["']?[^\s:"']+:(?P<secret>[^\s"']+)`, "-u", "--user"),
	{name: "secret pair", find: secretPairs, hints: secretWords},
}

// Widths of the lines in which PEM, OpenSSH and MIME write keys.
const (
	shortestKeyLine = 60
	longestKeyLine  = 76
	fewSlashes      = 6 // a path of the same width has more
)

// keyLines finds what looks like a line of a private key whose begin and end are not there: a word at
// the end of a line, as wide as such lines are, of base64. Digests are no such words: they have no
// capitals.
func keyLines(text string) []span {
	var out []span
	for from := 0; from < len(text); {
		end := len(text)
		if at := strings.IndexByte(text[from:], '\n'); at >= 0 {
			end = from + at
		}
		last := from + len(strings.TrimRight(text[from:end], " \t\r=\"',\\"))
		begin := last
		for begin > from && base64Letter(text[begin-1]) {
			begin--
		}
		alone := begin == from || strings.IndexByte(" \t\"'", text[begin-1]) >= 0
		if alone && last-begin >= shortestKeyLine && last-begin <= longestKeyLine && mixed(text[begin:last]) {
			out = append(out, span{begin, last})
		}
		from = end + 1
	}
	return out
}

func base64Letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// mixed says whether a word has small letters, capitals and digits, and is no path.
func mixed(word string) bool {
	return strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz") && strings.ContainsAny(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") &&
		strings.ContainsAny(word, "0123456789") && strings.Count(word, "/") <= fewSlashes
}

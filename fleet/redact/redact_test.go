package redact

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// builtinOnly is what agents have without rules of their Fleet.
var builtinOnly *Redactor

var (
	pemKey  = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nu1SU1LfVLPHCozMx\n-----END RSA PRIVATE KEY-----"
	keyLine = strings.Repeat("aB3+", 16)
)

// texts are what stands in logs and messages, and what may be sent of it. Secrets in them are made up.
var texts = map[string]struct{ text, want string }{
	"plain text stays":                        {`dial tcp 10.0.0.1:5432: connect: connection refused`, `dial tcp 10.0.0.1:5432: connect: connection refused`},
	"what the kubelet misses stays":           {`secret "db-password" not found`, `secret "db-password" not found`},
	"the name of a Secret stays":              {`service-account-token volume: db-password not found`, `service-account-token volume: db-password not found`},
	"a missing key stays":                     {`couldn't find key PASSWORD in Secret pay/db`, `couldn't find key PASSWORD in Secret pay/db`},
	"a revision stays":                        {`Applied revision: main@sha1:4f1c9d2aa0b7`, `Applied revision: main@sha1:4f1c9d2aa0b7`},
	"a password in a URL":                     {`postgres://ledger:p@ss@db:5432/x refused`, `postgres://ledger:***@db:5432/x refused`},
	"a bearer token":                          {`Authorization: Bearer abcdef0123456789`, `Authorization: Bearer ***`},
	"a basic header":                          {`authorization: Basic dXNlcjpwYXNz, x`, `authorization: Basic ***, x`},
	"a web token":                             {`got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.`, `got ***.`},
	"a private key over many lines":           {"before\n" + pemKey + "\nafter", "before\n-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nafter"},
	"a private key whose begin was cut":       {"u1SU1LfVLPHCozMx\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----\nafter", "***-----END PRIVATE KEY-----\nafter"},
	"a private key whose end was cut":         {"x\n-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nu1SU", "x\n-----BEGIN PRIVATE KEY-----***"},
	"a private key in JSON":                   {`{"k":"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"}`, `{"k":"-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\n"}`},
	"an AWS key id and its secret":            {`AKIAIOSFODNN7EXAMPLE aws_secret_access_key=wJalrXUtnFEMI/K7MDENG`, `*** aws_secret_access_key=***`},
	"an Azure client secret":                  {`failed with abc8Q~0123456789abcdefghijABCDEFGHIJ~xyz`, `failed with ***`},
	"an Azure connection string":              {`AccountName=a;AccountKey=Zm9vYmFy==;EndpointSuffix=x`, `AccountName=a;AccountKey=***;EndpointSuffix=x`},
	"an Azure signature":                      {`https://a.blob/x?sv=1&sig=abc%2Bdef&se=2`, `https://a.blob/x?sv=1&sig=***&se=2`},
	"a Google API key":                        {`key AIzaSyA0123456789abcdefghijklmnopqrstuv`, `key ***`},
	"a Google access token":                   {`ya29.a0AfH6SMBx-yz`, `***`},
	"a GitHub token":                          {`https://ghp_0123456789abcdefABCDEF@github.com`, `https://***@github.com`},
	"a NATS seed":                             {"SUA" + strings.Repeat("B", 55), `***`},
	"pairs of every form":                     {`password=hunter2 DB_PASSWORD: "a b" {"apiKey":"x1y2"} token='q' client_secret=z;`, `password=*** DB_PASSWORD: "***" {"apiKey":"***"} token='*' client_secret=*;`},
	"a flag":                                  {`run --db-password hunter2 --port 80`, `run --db-password *** --port 80`},
	"a token in a URL":                        {`https://a1b2c3d4e5f6a7b8c9d0@sentry.example.com/4`, `https://***@sentry.example.com/4`},
	"a database address":                      {`dial ledger:hunt3r@tcp(db:3306)/pay`, `dial ledger:***@tcp(db:3306)/pay`},
	"a header without a scheme":               {`"Authorization": "a1b2c3d4e5"`, `"Authorization": "***"`},
	"a bearer token in JSON":                  {`{"auth":"Bearer \"abcdef0123\""}`, `{"auth":"Bearer \"***\""}`},
	"a cookie":                                {`Cookie: session=abc; theme=dark`, `Cookie: ***`},
	"an encrypted web token":                  {`eyJhbGciOiJkaXIifQ..c2lnbmF0dXJl.aaaa.bbbb`, `***`},
	"an AWS secret beside its key id":         {`keys AKIAIOSFODNN7EXAMPLE / wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.`, `keys *** / ***.`},
	"an Azure account key":                    {`key ` + strings.Repeat("Ab3+", 21) + `Ab==`, `key ***`},
	"an age key":                              {`AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQ`, `***`},
	"a webhook":                               {`POST https://hooks.slack.com/services/T0/B0/abcDEF`, `POST https://hooks.slack.com/services/***`},
	"a login of a registry":                   {`{"auths":{"ghcr.io":{"auth":"dXNlcjpwYXNz"}}}`, `{"auths":{"ghcr.io":{"auth":"***"}}}`},
	"a user of curl":                          {`curl -u admin:hunter2 https://x`, `curl -u admin:*** https://x`},
	"a quote in a password":                   {`{"password":"a\"b","user":"x"}`, `{"password":"***","user":"x"}`},
	"a comma in a password":                   {`password=a,b, user=x`, `password=***, user=x`},
	"a block of YAML":                         {"password: |-\n  hunter2\n  more\nuser: x", "password: |-\n  ***\nuser: x"},
	"a key of another name":                   {`SIGNING_KEY=abc, partition_key=7`, `SIGNING_KEY=***, partition_key=7`},
	"a key without begin and end":             {"a\n" + keyLine + "\n" + keyLine + "\nu1SU\n", "a\n***\n***\nu1SU\n"},
	"a digest is no key":                      {"sha256:" + strings.Repeat("0a", 32), "sha256:" + strings.Repeat("0a", 32)},
	"a path is no key":                        {"/usr/Lib/a1/b2/c3/d4/e5/f6/g7/h8/i9/j0/k1/l2/m3/n4/o5/p6/q7/r8/", "/usr/Lib/a1/b2/c3/d4/e5/f6/g7/h8/i9/j0/k1/l2/m3/n4/o5/p6/q7/r8/"},
	"a certificate stays":                     {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"},
	"a secret right after a key that was cut": {"-----BEGIN PRIVATE KEY-----\nMIIE\npassword: hunter2 postgres://u:hunter2@db", "-----BEGIN PRIVATE KEY-----***: *** postgres://u:***@db"},
	"a key that was cut, as a value":          {"private_key: -----BEGIN PRIVATE KEY-----\nMIIEowIBAAKC", "private_key: *** PRIVATE KEY-----***"},
	"JSON in JSON":                            {`"{\"password\":\"hunter2\"}"`, `"{\"password\":\"***\"}"`},
}

func TestRedact(t *testing.T) {
	for name, c := range texts {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, builtinOnly.Redact(c.text)); diff != "" {
				t.Errorf("Redact (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddedRules(t *testing.T) {
	card := Rule{Name: "card", Pattern: `\b\d{4}(?: \d{4}){3}\b`}
	for name, c := range map[string]struct {
		rules      []Rule
		text, want string
	}{
		"a whole match is replaced":                      {[]Rule{card}, "card 4111 1111 1111 1111, password=x", "card ***, password=*"},
		"only the named group is":                        {[]Rule{{Name: "iban", Pattern: `IBAN (?P<secret>DK\d{16})`}}, "IBAN DK5000400440116243", "IBAN ***"},
		"a group without a name only groups":             {[]Rule{{Name: "id", Pattern: `(cust|acct)-\d+`}}, "cust-17 acct-18", "*** ***"},
		"a rule that never comes to rest leaves nothing": {[]Rule{{Name: "odd", Pattern: `.\*\*\*`}}, strings.Repeat("x", 90) + "***", "***"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := New(c.rules...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.Redact(c.text)); diff != "" {
				t.Errorf("Redact (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesThatCannotBeUsed(t *testing.T) {
	for name, r := range map[string]Rule{
		"no name":                      {Pattern: "x"},
		"a pattern that is none":       {Name: "n", Pattern: "(x"},
		"a pattern that finds nothing": {Name: "n", Pattern: "x*"},
	} {
		if _, err := New(r); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want ErrRule", name, err)
		}
	}
}

// alone are secrets that are known by themselves, whatever stands around them.
var alone = []string{
	"AKIAIOSFODNN7EXAMPLE",
	"ghp_0123456789abcdefABCDEF0123456789abcd",
	"xoxb-123456789012-abcdefABCDEF",
	"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlc2lnbmF0dXJl",
	"SUA" + strings.Repeat("B", 55),
	"AIzaSyA0123456789abcdefghijklmnopqrstuv",
	"hvs.CAESIJabcdefabcdefabcdef",
	"password=hunter2hunter2",
	"postgres://ledger:hunter2@db/x",
	"-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEAu1SU1LfVLPHCozMx\n-----END PRIVATE KEY-----",
}

// FuzzRedact: text never grows, redacting again changes nothing, and a secret on a line of its own does
// not survive whatever stands before and after it.
func FuzzRedact(f *testing.F) {
	for _, text := range []string{
		"password=hunter2", "Bearer abcdefgh", "postgres://u:p@h/", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----", "eyJhbGciOi.eyJzdWIi.x",
		`{"token":"a","b":"c"}`, "AKIAIOSFODNN7EXAMPLE", "\xff\x00=token:", "secret: token: password=x", "authorization: negotiate x", "cookie: a=b", `"auth": "abcd"`,
		"password: |\n  x", "token: \\\"", strings.Repeat("aB3+", 16),
	} {
		f.Add(text, "", uint8(0))
	}
	for _, c := range texts {
		f.Add(c.text, c.want, uint8(len(c.text)))
	}
	f.Add("-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----", uint8(3))
	more, err := New(Rule{Name: "card", Pattern: `\d{4}(?: \d{4}){3}`}, Rule{Name: "odd", Pattern: `(?P<x>[a-z]?)\*+`})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, after string, which uint8) {
		for _, r := range []*Redactor{builtinOnly, more} {
			settles(t, r, before)
		}
		secret := alone[int(which)%len(alone)]
		if strings.Contains(before+after, secret) {
			return // there as a part of a longer word, it need not be one
		}
		got := builtinOnly.Redact(before + "\n" + secret + "\n" + after)
		if strings.Contains(got, secret) || strings.Contains(secret, "hunter2") && !strings.Contains(before+after, "hunter2") && strings.Contains(got, "hunter2") {
			t.Errorf("between %q and %q, %q survived: %q", before, after, secret, got)
		}
	})
}

func settles(t *testing.T, r *Redactor, text string) {
	t.Helper()
	once := r.Redact(text)
	if len(once) > len(text) {
		t.Errorf("%d bytes became %d", len(text), len(once))
	}
	if twice := r.Redact(once); twice != once {
		t.Errorf("redacting %q again gave %q", once, twice)
	}
}

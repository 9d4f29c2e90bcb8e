package remote

import (
	"encoding/base64"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func TestLifetime(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	at := func(second int64) time.Time { return time.Unix(second, 0).UTC() }
	for name, c := range map[string]struct {
		config      *rest.Config
		from, until time.Time
	}{
		"a service account's token says":    {&rest.Config{BearerToken: token(`{"iat":100,"exp":700,"sub":"x"}`)}, at(100), at(700)},
		"one that says only its end":        {&rest.Config{BearerToken: token(`{"exp":700}`)}, at(0), at(700)},
		"one without an end says nothing":   {&rest.Config{BearerToken: token(`{"iat":100}`)}, time.Time{}, time.Time{}},
		"nor one that ends before all time": {&rest.Config{BearerToken: token(`{"exp":-5}`)}, time.Time{}, time.Time{}},
		"claims that are none":              {&rest.Config{BearerToken: token(`{"exp":"soon"}`)}, time.Time{}, time.Time{}},
		"an opaque token":                   {&rest.Config{BearerToken: "k8s-aws-v1.aHR0cHM6Ly9zdHM"}, time.Time{}, time.Time{}},
		"three parts that are no token":     {&rest.Config{BearerToken: "a.b!.c"}, time.Time{}, time.Time{}},
		"a certificate that is none":        {&rest.Config{TLSClientConfig: rest.TLSClientConfig{CertData: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}}, time.Time{}, time.Time{}},
		"a name and a password end never":   {&rest.Config{Username: "u", Password: "p"}, time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if from, until := Lifetime(c.config); !from.Equal(c.from) || !until.Equal(c.until) {
				t.Errorf("from %s until %s, want %s until %s", from, until, c.from, c.until)
			}
		})
	}
}

package remote

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Lifetime is when the credentials of a configuration begin and end: those of a token that says so, as
// service accounts' do, or of a client certificate. Zero times: nothing says. The token is not
// verified; the cluster does that.
func Lifetime(config *rest.Config) (from, until time.Time) {
	if config.BearerToken != "" {
		return lifetimeOfToken(config.BearerToken)
	}
	block, _ := pem.Decode(config.CertData)
	if block == nil {
		return time.Time{}, time.Time{}
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	return certificate.NotBefore, certificate.NotAfter
}

// lifetimeOfToken reads the claims of a JSON Web Token; of anything else it knows nothing.
func lifetimeOfToken(token string) (from, until time.Time) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, time.Time{}
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, time.Time{}
	}
	var claims struct {
		IssuedAt int64 `json:"iat"`
		Expires  int64 `json:"exp"`
	}
	if err := json.Unmarshal(body, &claims); err != nil || claims.Expires <= 0 {
		return time.Time{}, time.Time{}
	}
	return time.Unix(claims.IssuedAt, 0).UTC(), time.Unix(claims.Expires, 0).UTC()
}

package cloud

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
)

// issuer is an OpenID Connect issuer on 127.0.0.1: what a cloud's own identity service is to the
// API servers of its clusters.
type issuer struct {
	url    string
	ca     []byte
	keys   jose.JSONWebKeySet // public
	signer jose.Signer
	http   *http.Server
}

func startIssuer(ctx context.Context, name string, log *slog.Logger) (*issuer, error) {
	ca, certificate, err := kube.NewServer(name+"-issuer", "127.0.0.1")
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for issuer: %w", err)
	}
	i := &issuer{url: "https://" + listener.Addr().String(), ca: ca}
	if err := i.generateKey(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	i.http = &http.Server{
		Handler: i.handler(log), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	go func() {
		if err := i.http.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve issuer", "error", err)
		}
	}()
	return i, nil
}

func (i *issuer) generateKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate issuer key: %w", err)
	}
	const id = "1"
	i.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return fmt.Errorf("create signer: %w", err)
	}
	i.keys.Keys = []jose.JSONWebKey{{Key: key.Public(), KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}}
	return nil
}

func (i *issuer) handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	serve := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(body); err != nil {
				log.Warn("answer", "path", path, "error", err)
			}
		})
	}
	serve("/.well-known/openid-configuration", map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/keys",
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(jose.ES256)},
	})
	serve("/keys", i.keys)
	return mux
}

// token returns a token for a user of one cluster, from now until now+lifetime.
func (i *issuer) token(user, cluster string, groups []string, now time.Time, lifetime time.Duration) (string, error) {
	claims := struct {
		jwt.Claims
		Groups []string `json:"groups"`
	}{
		Claims: jwt.Claims{
			Issuer: i.url, Subject: user, Audience: jwt.Audience{cluster}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(lifetime)),
		},
		Groups: groups,
	}
	token, err := jwt.Signed(i.signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

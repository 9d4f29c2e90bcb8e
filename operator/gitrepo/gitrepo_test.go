package gitrepo

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

// guarded lets in who sends the header that is wanted, and forbids "forbidden" what he asks for.
func guarded(next http.Handler, authorization string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case authorization:
			next.ServeHTTP(w, r)
		case "Bearer forbidden":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

func TestHead(t *testing.T) {
	root, commit := gittest.Repositories(t)
	open := httptest.NewServer(gittest.Backend(t, root))
	defer open.Close()
	basic := httptest.NewServer(guarded(gittest.Backend(t, root), "Basic dXNlcjpzZWNyZXQ=")) // user:secret
	defer basic.Close()
	bearer := httptest.NewServer(guarded(gittest.Backend(t, root), "Bearer token"))
	defer bearer.Close()
	secure := httptest.NewTLSServer(gittest.Backend(t, root))
	defer secure.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})

	for name, c := range map[string]struct {
		url, branch string
		auth        Auth
		want        error
		says        string
	}{
		"a public repository is read":           {url: open.URL + "/config.git"},
		"a name and password are sent":          {url: basic.URL + "/config.git", auth: Auth{KeyUsername: []byte("user"), KeyPassword: []byte("secret")}},
		"a bearer token is sent":                {url: bearer.URL + "/config.git", auth: Auth{KeyBearer: []byte("token")}},
		"an authority is trusted":               {url: secure.URL + "/config.git", auth: Auth{KeyCA: ca}},
		"an unknown authority is not":           {url: secure.URL + "/config.git", want: ErrUnreachable, says: "ca.crt"},
		"a wrong password is told of":           {url: basic.URL + "/config.git", auth: Auth{KeyUsername: []byte("user"), KeyPassword: []byte("wrong")}, want: ErrAuth, says: "secretRef"},
		"no password is told of":                {url: basic.URL + "/config.git", want: ErrAuth},
		"a token without rights is told of":     {url: bearer.URL + "/config.git", auth: Auth{KeyBearer: []byte("forbidden")}, want: ErrAuth},
		"a repository that is not there":        {url: open.URL + "/other.git", want: ErrNotFound, says: "check the Fleet's URL"},
		"a branch that is not there":            {url: open.URL + "/config.git", branch: "release", want: ErrBranch, says: `no branch "release"`},
		"a repository without a commit":         {url: open.URL + "/empty.git", want: ErrBranch, says: "push a first commit"},
		"a port where nobody listens":           {url: "http://127.0.0.1:1/config.git", want: ErrUnreachable},
		"a name that does not resolve":          {url: "https://git.invalid/config.git", want: ErrUnreachable, says: `"git.invalid" does not resolve`},
		"ssh without a key is told of":          {url: "ssh://git@127.0.0.1:1/config.git", want: ErrAuth, says: "identity is missing"},
		"ssh without known hosts is told of":    {url: "ssh://git@127.0.0.1:1/config.git", auth: Auth{KeyIdentity: []byte("x")}, want: ErrAuth, says: "known_hosts is missing"},
		"a key that cannot be read is told of":  {url: "ssh://git@127.0.0.1:1/config.git", auth: Auth{KeyIdentity: []byte("x"), KeyKnownHosts: []byte("y")}, want: ErrAuth, says: "not a private key"},
		"an error does not repeat the password": {url: "http://user:hidden@127.0.0.1:1/config.git", want: ErrUnreachable, says: "user@127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.branch == "" {
				c.branch = "main"
			}
			got, err := Head(t.Context(), c.url, c.branch, c.auth)
			switch {
			case c.want == nil && (err != nil || got != "main@sha1:"+commit):
				t.Errorf("%q, %v", got, err)
			case c.want != nil && (!errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hidden")):
				t.Errorf("%v, not %v that says %q", err, c.want, c.says)
			}
		})
	}
}

func TestHeadIsBounded(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, scheme := range []string{"http", "ssh"} {
		t.Run(scheme, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := Head(ctx, scheme+"://"+silent.Addr().String()+"/config.git", "main", sshAuth(t, silent.Addr()))
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("%v", err)
			}
		})
	}
}

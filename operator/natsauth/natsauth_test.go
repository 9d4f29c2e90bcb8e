package natsauth

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
)

func newKeys(t *testing.T) *Keys {
	t.Helper()
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestLoadKeys(t *testing.T) {
	good := newKeys(t).Data()
	change := func(key, value string) map[string][]byte {
		data := maps.Clone(good)
		data[key] = []byte(value)
		return data
	}
	missing := maps.Clone(good)
	delete(missing, KeySystem)
	for _, c := range []struct {
		name string
		data map[string][]byte
		says string // empty: no error
	}{
		{"what Data wrote is read back", good, ""},
		{"other keys do not matter", change("ca.crt", "x"), ""},
		{"a missing seed is named", missing, "system.seed: missing"},
		{"every missing seed is named", nil, "account.seed: missing"},
		{"an empty seed is missing", change(KeyOperator, ""), "operator.seed: missing"},
		{"bytes that are no seed are refused", change(KeyAccount, "SAxx"), "account.seed: not a seed"},
		{"a seed of another role is refused", change(KeyAccount, string(good[KeyOperator])), "account.seed: a seed of role operator, not account"},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := LoadKeys(c.data)
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(good, keys.Data()); diff != "" {
					t.Errorf("keys (-want +got):\n%s", diff)
				}
				return
			}
			if !errors.Is(err, ErrKeys) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			for _, seed := range good {
				if strings.Contains(err.Error(), string(seed)) {
					t.Error("the error shows a seed")
				}
			}
		})
	}
}

func TestServerTokensAreTheSameForTheSameInput(t *testing.T) {
	keys := newKeys(t)
	user, err := keys.Agent("c1", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	since := time.Unix(1_800_000_000, 0)
	tokens := func(k *Keys, revoked map[string]time.Time) Server {
		t.Helper()
		s, err := k.Server(revoked)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	base := tokens(keys, map[string]time.Time{user.PublicKey: since})
	older := base
	older.AccountJWT = reissue(t, keys, base.AccountJWT)
	for _, c := range []struct {
		name  string
		other Server
		want  bool
	}{
		{"the same revocations", tokens(keys, map[string]time.Time{user.PublicKey: since}), true},
		{"issued at another time", older, true},
		{"no revocations", tokens(keys, nil), false},
		{"revoked at another time", tokens(keys, map[string]time.Time{user.PublicKey: since.Add(time.Hour)}), false},
		{"another fleet", tokens(newKeys(t), map[string]time.Time{user.PublicKey: since}), false},
		{"nothing", Server{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := base.Same(c.other); got != c.want {
				t.Errorf("Same = %v, want %v", got, c.want)
			}
		})
	}
	back, err := Revocations(base.AccountJWT)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]time.Time{user.PublicKey: since}, back); diff != "" {
		t.Errorf("revocations read back (-want +got):\n%s", diff)
	}
}

// reissue signs the same claims again with an id that differs, as an issue at another time has.
func reissue(t *testing.T, keys *Keys, token string) string {
	t.Helper()
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	claims.IssuedAt, claims.ID = 1, "another"
	again, err := claims.Encode(keys.operator)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestServerRefusesToRevokeWhatIsNoUser(t *testing.T) {
	for _, key := range []string{"*", "", "UAAA"} {
		if _, err := newKeys(t).Server(map[string]time.Time{key: time.Now()}); err == nil {
			t.Errorf("%q was revoked", key)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	keys, soon := newKeys(t), time.Now().Add(time.Hour)
	for _, c := range []struct {
		name string
		mint func() (User, error)
	}{
		{"an agent without an id", func() (User, error) { return keys.Agent("", soon) }},
		{"an agent with a wildcard for an id", func() (User, error) { return keys.Agent("*", soon) }},
		{"an agent with a dot in its id", func() (User, error) { return keys.Agent("a.b", soon) }},
		{"an agent that would be the platform", func() (User, error) { return keys.Agent("_platform", soon) }},
		{"an agent that never expires", func() (User, error) { return keys.Agent("c1", time.Time{}) }},
		{"a reader with a wildcard for a name", func() (User, error) { return keys.Reader(">", soon) }},
		{"a reader that never expires", func() (User, error) { return keys.Reader("grafana", time.Time{}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if u, err := c.mint(); err == nil {
				t.Errorf("minted %s", u.Name)
			}
		})
	}
}

func TestOwnsUser(t *testing.T) {
	keys := newKeys(t)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	mint := func(u User, err error) User {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	agent := mint(keys.Agent("c1", expires))
	hub := mint(keys.Hub())
	foreign := mint(newKeys(t).Agent("c1", expires))
	type seen struct {
		Key, Cluster string
		Expires      time.Time
	}
	for _, c := range []struct {
		name  string
		creds []byte
		want  seen
		err   error
	}{
		{"an agent's are known with their cluster", agent.Creds, seen{agent.PublicKey, "c1", expires}, nil},
		{"the hub's have no cluster and no end", hub.Creds, seen{hub.PublicKey, "", time.Time{}}, nil},
		{"a reader's have no cluster", mint(keys.Reader("c1", expires)).Creds, seen{"", "", expires}, nil},
		{"another fleet's are foreign", foreign.Creds, seen{}, ErrForeign},
		{"nothing is no token", nil, seen{}, ErrToken},
		{"other bytes are no token", []byte("password"), seen{}, ErrToken},
		{"a token with another's seed is no credentials", mixed(t, agent, hub), seen{}, ErrToken},
		{"rights of another version are outdated", widened(t, keys, agent), seen{agent.PublicKey, "c1", expires}, ErrOutdated},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, cluster, ends, err := keys.OwnsUser(c.creds)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			got := seen{key, cluster, ends}
			if c.want.Key == "" {
				got.Key = ""
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

// mixed is one user's token with another's seed.
func mixed(t *testing.T, token, seed User) []byte {
	t.Helper()
	return bytes.Replace(token.Creds, userSeed(t, token), userSeed(t, seed), 1)
}

func userSeed(t *testing.T, u User) []byte {
	t.Helper()
	pair, err := jwt.ParseDecoratedUserNKey(u.Creds)
	if err != nil {
		t.Fatal(err)
	}
	return seedOf(pair)
}

// widened is an agent's credentials with a right more than agents have.
func widened(t *testing.T, keys *Keys, u User) []byte {
	t.Helper()
	claims, err := decodeUser(u.Creds)
	if err != nil {
		t.Fatal(err)
	}
	claims.Sub.Allow.Add("fleet.v1.evt.>")
	token, err := claims.Encode(keys.account)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, userSeed(t, u))
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func FuzzOwnsUser(f *testing.F) {
	keys, err := NewKeys()
	if err != nil {
		f.Fatal(err)
	}
	hub, err := keys.Hub()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hub.Creds)
	f.Add([]byte("-----BEGIN NATS USER JWT-----\nx.y.z\n------END NATS USER JWT------\n"))
	f.Fuzz(func(t *testing.T, creds []byte) {
		key, _, _, err := keys.OwnsUser(creds)
		if err == nil && key != hub.PublicKey {
			t.Errorf("accepted credentials that nobody minted: %q", bytes.TrimSpace(creds))
		}
	})
}

package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/natsauth"
	"github.com/fairway-dev/fairway/operator/pki"
)

// Ensure makes what is missing or no longer right: the fleet's keys, the hub's tokens, credentials
// and serving certificate for these hosts, and the public authority. It says whether it wrote
// anything.
func (s *Store) Ensure(ctx context.Context, hosts []string, settings Settings) (changed bool, err error) {
	made, err := s.ensureKeys(ctx)
	if err != nil {
		return false, err
	}
	keys, secret, err := s.keys(ctx)
	if err != nil {
		return made, err
	}
	hub, err := s.ensureHub(ctx, keys, secret.Data, hosts, &settings)
	if err != nil {
		return made, err
	}
	public := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: HubName}}
	published, err := s.update(ctx, public, func() error {
		if public.Data == nil {
			public.Data = map[string]string{}
		}
		public.Data[KeyCA] = string(secret.Data[KeyCA])
		return nil
	})
	return made || hub || published, err
}

// ensureKeys makes the fleet's keys when there are none; those that are there stay.
func (s *Store) ensureKeys(ctx context.Context) (bool, error) {
	secret := s.secret(KeysName)
	return s.update(ctx, secret, func() error {
		moves(secret)
		if len(secret.Data) > 0 {
			_, err := loadKeys(secret.Data)
			return err
		}
		keys, err := natsauth.NewKeys()
		if err != nil {
			return err
		}
		secret.Data = keys.Data()
		secret.Data[KeyCA], secret.Data[keyCAKey], err = pki.NewAuthority(s.Now())
		return err
	})
}

// ensureHub makes the hub's Secret what the keys say. Without hosts its certificate stays; without
// settings those that it has.
func (s *Store) ensureHub(ctx context.Context, keys *natsauth.Keys, data map[string][]byte, hosts []string, settings *Settings) (bool, error) {
	revoked, err := readRevoked(data)
	if err != nil {
		return false, err
	}
	want, err := keys.Server(revoked)
	if err != nil {
		return false, fmt.Errorf("sign the hub's tokens: %w", err)
	}
	secret := s.secret(HubName)
	return s.update(ctx, secret, func() error {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		have := natsauth.Server{
			OperatorJWT: string(secret.Data[keyOperatorJWT]),
			AccountJWT:  string(secret.Data[keyAccountJWT]),
			SystemJWT:   string(secret.Data[keySystemJWT]),
		}
		if !have.Same(want) {
			secret.Data[keyOperatorJWT] = []byte(want.OperatorJWT)
			secret.Data[keyAccountJWT] = []byte(want.AccountJWT)
			secret.Data[keySystemJWT] = []byte(want.SystemJWT)
		}
		if _, _, _, err := keys.OwnsUser(secret.Data[keyHubCreds]); err != nil {
			user, err := keys.Hub()
			if err != nil {
				return err
			}
			secret.Data[keyHubCreds] = user.Creds
		}
		secret.Data[KeyCA] = data[KeyCA]
		if settings != nil {
			settings.write(secret.Data)
		}
		return s.certify(secret, data, hosts)
	})
}

// Settings are what the Fleet says of the hub. They travel in the hub's Secret, since the hub reads no
// Kubernetes objects.
type Settings struct {
	Retention          time.Duration // of events; 0: the hub's own
	MissesUntilUnknown int32         // heartbeats; 0: the hub's own
}

// SettingsOf reads the Fleet.
func SettingsOf(fleet *fleetv1.Fleet) Settings {
	return Settings{Retention: fleet.Spec.Events.Retention.Duration, MissesUntilUnknown: fleet.Spec.Heartbeat.MissesUntilUnknown}
}

func (s Settings) write(data map[string][]byte) {
	if s.Retention > 0 {
		data[keyRetention] = []byte(s.Retention.String())
	}
	if s.MissesUntilUnknown > 0 {
		data[keyMisses] = []byte(strconv.Itoa(int(s.MissesUntilUnknown)))
	}
}

// Keys of the hub's Secret that carry Settings; cmd/hub reads them as files.
const (
	keyRetention = "retention"
	keyMisses    = "heartbeat-misses"
)

// certify renews the serving certificate in the hub's Secret when it has to be.
func (s *Store) certify(secret *corev1.Secret, keys map[string][]byte, hosts []string) error {
	now := s.Now()
	if len(hosts) == 0 || !pki.NeedsRenewal(secret.Data[corev1.TLSCertKey], keys[KeyCA], hosts, now) {
		return nil
	}
	cert, key, err := pki.Serving(keys[KeyCA], keys[keyCAKey], hosts, now)
	if err != nil {
		return fmt.Errorf("sign the hub's certificate: %w", err)
	}
	secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey] = cert, key
	return nil
}

// revocation is one user that may no longer connect.
type revocation struct {
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"` // of the credentials; after it the entry is of no use
}

func readRevocations(data map[string][]byte) (map[string]revocation, error) {
	out := map[string]revocation{}
	if raw := data[keyRevoked]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			return nil, fmt.Errorf("%w: %s: %w; mend it or remove the key", ErrKeysDamaged, keyRevoked, err)
		}
	}
	return out, nil
}

func readRevoked(data map[string][]byte) (map[string]time.Time, error) {
	entries, err := readRevocations(data)
	if err != nil {
		return nil, err
	}
	out := make(map[string]time.Time, len(entries))
	for user, entry := range entries {
		out[user] = entry.At
	}
	return out, nil
}

// revoke adds users to the list of those revoked, and drops from it whose credentials have expired
// anyway.
func revoke(have map[string]revocation, users map[string]time.Time, now time.Time) map[string]revocation {
	out := make(map[string]revocation, len(have)+len(users))
	for user, entry := range have {
		if entry.Expires.IsZero() || entry.Expires.After(now) {
			out[user] = entry
		}
	}
	for user, expires := range users {
		if _, ok := out[user]; !ok && (expires.IsZero() || expires.After(now)) {
			out[user] = revocation{At: now.UTC().Truncate(time.Second), Expires: expires.UTC()}
		}
	}
	return out
}

package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/natsauth"
)

// Identity is what a cluster's agent connects with.
type Identity struct {
	Creds   []byte // a NATS credentials file
	CA      []byte // PEM that the hub's certificate is verified with
	Expires time.Time
}

// Agent returns the credentials of a cluster's agent. They are the same from call to call until a
// third of their life is left, or the fleet's keys or the rights of agents have changed.
func (s *Store) Agent(ctx context.Context, id string) (Identity, error) {
	keys, root, err := s.keys(ctx)
	if err != nil {
		return Identity{}, err
	}
	var out Identity
	secret := s.secret(agentPrefix + id)
	_, err = s.update(ctx, secret, func() error {
		expires, usable := current(keys, secret.Data[keyCreds], id, s.Now(), s.Life)
		if !usable {
			user, err := keys.Agent(id, s.Now().Add(s.Life))
			if err != nil {
				return err
			}
			data := map[string][]byte{keyCreds: user.Creds}
			if old := secret.Data[keyCreds]; len(old) > 0 {
				data[keyPrevious] = old
			}
			secret.Data, expires = data, user.Expires
		}
		moves(secret)
		secret.Labels[fleetv1.LabelCluster] = id
		out = Identity{Creds: secret.Data[keyCreds], CA: root.Data[KeyCA], Expires: expires}
		return nil
	})
	return out, err
}

// current says whether credentials are still the ones that a cluster's agent should have, and when
// they end.
func current(keys *natsauth.Keys, creds []byte, id string, now time.Time, life time.Duration) (time.Time, bool) {
	if len(creds) == 0 {
		return time.Time{}, false
	}
	_, cluster, expires, err := keys.OwnsUser(creds)
	return expires, err == nil && cluster == id && !renewalDue(expires, now, life)
}

// renewalDue says whether less than a third of a life is left. Credentials of a longer life than
// is asked for now are replaced as well.
func renewalDue(expires, now time.Time, life time.Duration) bool {
	left := expires.Sub(now)
	return left < life/3 || left > life
}

// Foreign says whose credentials these are, when they are not a cluster's own: another cluster's, or
// somebody's outside this fleet. Earlier credentials of the cluster are its own.
func (s *Store) Foreign(ctx context.Context, id string, creds []byte) (string, error) {
	keys, _, err := s.keys(ctx)
	if err != nil {
		return "", err
	}
	_, cluster, _, err := keys.OwnsUser(creds)
	switch {
	case cluster == id:
		return "", nil
	case cluster != "":
		return "cluster " + cluster, nil
	case errors.Is(err, natsauth.ErrForeign):
		return "another fleet, or of keys that this one no longer has", nil
	}
	return "nobody that this fleet knows", nil
}

// Revoke ends a cluster's credentials: its users are refused by the bus from now on and their
// Secret goes. It is no error when there are none.
func (s *Store) Revoke(ctx context.Context, id string) error {
	keys, _, err := s.keys(ctx)
	if errors.Is(err, ErrNoKeys) {
		return s.forget(ctx, id) // whatever was signed by keys that are gone is worth nothing
	}
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	err = s.Client.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: agentPrefix + id}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get credentials of %s: %w", id, err)
	}
	if users := usersIn(keys, secret.Data); len(users) > 0 {
		if err := s.addRevoked(ctx, users); err != nil {
			return err
		}
		keys, root, err := s.keys(ctx)
		if err != nil {
			return err
		}
		if _, err := s.ensureHub(ctx, keys, root.Data, nil, nil); err != nil {
			return err
		}
	}
	return s.forget(ctx, id)
}

// usersIn are the users of this fleet in a cluster's Secret, with when they expire.
func usersIn(keys *natsauth.Keys, data map[string][]byte) map[string]time.Time {
	users := map[string]time.Time{}
	for _, key := range []string{keyCreds, keyPrevious} {
		public, _, expires, err := keys.OwnsUser(data[key])
		if err == nil || errors.Is(err, natsauth.ErrOutdated) {
			users[public] = expires
		}
	}
	return users
}

func (s *Store) addRevoked(ctx context.Context, users map[string]time.Time) error {
	root := s.secret(KeysName)
	_, err := s.update(ctx, root, func() error {
		if _, err := loadKeys(root.Data); err != nil {
			return err
		}
		have, err := readRevocations(root.Data)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(revoke(have, users, s.Now()))
		if err != nil {
			return fmt.Errorf("encode %s: %w", keyRevoked, err)
		}
		root.Data[keyRevoked] = raw
		return nil
	})
	return err
}

func (s *Store) forget(ctx context.Context, id string) error {
	err := s.Client.Delete(ctx, s.secret(agentPrefix+id))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete credentials of %s: %w", id, err)
	}
	return nil
}

// Package eventbus keeps what the event bus needs on the platform cluster: the fleet's keys, the
// hub's tokens and certificate, and one set of credentials a cluster, made once, renewed in time
// and revoked when the cluster leaves.
package eventbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/natsauth"
)

// Names of the objects in the platform's namespace.
const (
	KeysName      = "fairway-keys"   // Secret that only the operator reads
	HubName       = "fairway-hub"    // Secret, ConfigMap and Service of the hub
	EventsService = "fairway-events" // Service that agents dial
	agentPrefix   = "fairway-agent-" // Secrets, one a cluster
)

// Keys of the Secrets, beside natsauth's seeds.
const (
	KeyCA          = "ca.crt"
	keyCAKey       = "ca.key"
	keyRevoked     = "revoked.json"
	keyOperatorJWT = "operator.jwt"
	keyAccountJWT  = "account.jwt"
	keySystemJWT   = "system.jwt"
	keyHubCreds    = "hub.creds"
	keyCreds       = "agent.creds"
	keyPrevious    = "previous.creds" // what the agent had before; still valid for a while
)

// Errors of Store.
var (
	// ErrNoKeys: the fleet's keys are not made yet; Ensure makes them.
	ErrNoKeys = errors.New("the event bus has no keys yet")
	// ErrKeysDamaged: Secret fairway-keys lacks a part. It is never overwritten: all credentials
	// of the fleet hang on it.
	ErrKeysDamaged = errors.New("the Secret " + KeysName + " is damaged")
	// ErrNoAddress: agents have nothing to dial.
	ErrNoAddress = errors.New("the event bus has no address for agents")
)

// Store reads and writes the bus's Secrets. Its client must not cache Secrets and ConfigMaps. It is
// safe for concurrent use.
type Store struct {
	Client    client.Client
	Namespace string           // of the platform's own processes
	Life      time.Duration    // of an agent's credentials; they are renewed when a third is left
	Now       func() time.Time // clock
}

// update creates or changes one object: change is given what is there, or an empty object, and
// says by its changes what is written. Nothing is written when it changes nothing. Conflicts are
// tried again with what is there then.
func (s *Store) update(ctx context.Context, obj client.Object, change func() error) (changed bool, err error) {
	key := types.NamespacedName{Namespace: s.Namespace, Name: obj.GetName()}
	blank := obj.DeepCopyObject().(client.Object)
	err = retry.OnError(retry.DefaultRetry, isRace, func() error {
		before, found, err := s.read(ctx, key, obj, blank)
		if err != nil {
			return err
		}
		if err := change(); err != nil {
			return err
		}
		obj.SetLabels(withLabels(obj.GetLabels()))
		switch {
		case !found:
			changed = true
			return s.Client.Create(ctx, obj)
		case equality.Semantic.DeepEqual(before, obj):
			return nil
		}
		changed = true
		return s.Client.Update(ctx, obj)
	})
	if err != nil {
		return false, fmt.Errorf("keep %T %s: %w", blank, key, err)
	}
	return changed, nil
}

// read fills obj with what is stored under key, or with the blank object, and returns a copy.
func (s *Store) read(ctx context.Context, key types.NamespacedName, obj, blank client.Object) (before client.Object, found bool, err error) {
	err = s.Client.Get(ctx, key, obj)
	if err == nil {
		return obj.DeepCopyObject().(client.Object), true, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, false, err
	}
	switch target := obj.(type) {
	case *corev1.Secret:
		blank.(*corev1.Secret).DeepCopyInto(target)
	case *corev1.ConfigMap:
		blank.(*corev1.ConfigMap).DeepCopyInto(target)
	default:
		return nil, false, fmt.Errorf("%T is not kept here", obj)
	}
	return nil, false, nil
}

func isRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

func withLabels(labels map[string]string) map[string]string {
	out := map[string]string{"app.kubernetes.io/managed-by": "fairway-operator", "app.kubernetes.io/part-of": "fairway"}
	maps.Copy(out, labels)
	return out
}

// moves marks what cannot be made again, so that `clusterctl move` of the namespace takes it along to another platform.
func moves(secret *corev1.Secret) {
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	secret.Labels[fleetv1.LabelMove] = ""
}

func (s *Store) secret(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}, Type: corev1.SecretTypeOpaque}
}

// keys reads the fleet's keys and who is revoked.
func (s *Store) keys(ctx context.Context) (*natsauth.Keys, *corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Client.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: KeysName}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil, ErrNoKeys
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get Secret %s: %w", KeysName, err)
	}
	keys, err := loadKeys(secret.Data)
	return keys, secret, err
}

func loadKeys(data map[string][]byte) (*natsauth.Keys, error) {
	keys, err := natsauth.LoadKeys(data)
	if err == nil {
		for _, key := range []string{KeyCA, keyCAKey} {
			if len(data[key]) == 0 {
				err = errors.Join(err, fmt.Errorf("%s: missing", key))
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w; restore it from a backup, or delete it to give the whole fleet new keys", ErrKeysDamaged, err)
	}
	return keys, nil
}

// Operator makes a user for the operator itself, kept nowhere, and the authority that the hub's
// certificate is verified with. ErrNoKeys until Ensure was called once.
func (s *Store) Operator(ctx context.Context) (natsauth.User, []byte, error) {
	keys, secret, err := s.keys(ctx)
	if err != nil {
		return natsauth.User{}, nil, err
	}
	user, err := keys.Operator()
	if err != nil {
		return natsauth.User{}, nil, err
	}
	return user, secret.Data[KeyCA], nil
}

// Reader makes a user that reads events and nothing else, for a dashboard, kept nowhere, and the
// authority that the hub's certificate is verified with. ErrNoKeys as Operator.
func (s *Store) Reader(ctx context.Context, name string, life time.Duration) (natsauth.User, []byte, error) {
	keys, secret, err := s.keys(ctx)
	if err != nil {
		return natsauth.User{}, nil, err
	}
	user, err := keys.Reader(name, s.Now().Add(life))
	if err != nil {
		return natsauth.User{}, nil, err
	}
	return user, secret.Data[KeyCA], nil
}

// Account is the public key of the fleet's account, by which one fleet's keys are told from another's. ErrNoKeys as
// Operator.
func (s *Store) Account(ctx context.Context) (string, error) {
	keys, _, err := s.keys(ctx)
	if err != nil {
		return "", err
	}
	return keys.Account(), nil
}

// Fingerprint changes when the fleet gets other keys or another authority. ErrNoKeys as Operator.
func (s *Store) Fingerprint(ctx context.Context) (string, error) {
	_, secret, err := s.keys(ctx)
	if err != nil {
		return "", err
	}
	return string(secret.Data[natsauth.KeyAccount]) + string(secret.Data[KeyCA]), nil
}

// Package registry is the fleet's artifact registry as the operator uses it: the store that the Fleet names, with the credentials of its
// Secret.
package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/artifact"
)

// Errors of this package; what wraps them says what to do.
var (
	// ErrNone: the Fleet names no registry.
	ErrNone = errors.New("the Fleet has no spec.artifacts: nothing can be released")
	// ErrNoSecret: a Secret that the Fleet names does not exist, or lacks its key.
	ErrNoSecret = errors.New("the registry's Secret cannot be used")
)

// Registry is the artifact registry. It is safe for concurrent use.
type Registry struct {
	client    client.Reader
	namespace string

	mu    sync.Mutex
	of    [sha256.Size]byte // what the store was made of
	store *artifact.Store
}

// New makes a Registry that reads its Secret, uncached, from the operator's namespace.
func New(c client.Reader, namespace string) *Registry {
	return &Registry{client: c, namespace: namespace}
}

// Resolve finds an artifact by its id. Errors wrap those of this package or of operator/artifact.
func (r *Registry) Resolve(ctx context.Context, fleet *fleetv1.Fleet, team, service, id string) (artifact.Artifact, error) {
	store, err := r.open(ctx, fleet)
	if err != nil {
		return artifact.Artifact{}, err
	}
	return store.Resolve(ctx, team, service, id)
}

// List is a service's artifacts, the newest first, at most n of them; 0: all. Errors as those of Resolve.
func (r *Registry) List(ctx context.Context, fleet *fleetv1.Fleet, team, service string, n int) ([]artifact.Artifact, error) {
	store, err := r.open(ctx, fleet)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, team, service, n)
}

// Pull reads the files of an artifact that was found. Errors as those of Resolve.
func (r *Registry) Pull(ctx context.Context, fleet *fleetv1.Fleet, team, service string, a artifact.Artifact) (artifact.Files, error) {
	store, err := r.open(ctx, fleet)
	if err != nil {
		return nil, err
	}
	return store.Pull(ctx, team, service, a)
}

// open is the store that the Fleet names. It is made anew when that, or what is in its Secret, has changed.
func (r *Registry) open(ctx context.Context, fleet *fleetv1.Fleet) (*artifact.Store, error) {
	spec := fleet.Spec.Artifacts
	if spec == nil {
		return nil, ErrNone
	}
	config, err := r.credentials(ctx, spec)
	if err != nil {
		return nil, err
	}
	of := sha256.Sum256(fmt.Appendf(nil, "%q %q", spec.URL, config))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.store != nil && r.of == of {
		return r.store, nil
	}
	var who artifact.Auth
	if config != nil {
		if who, err = artifact.DockerConfig(config); err != nil {
			return nil, fmt.Errorf("%w: %s/%s of the Fleet's spec.artifacts.secretRef: %w", ErrNoSecret, r.namespace, spec.SecretRef.Name, err)
		}
	}
	store, err := artifact.New(spec.URL, who)
	if err != nil {
		return nil, fmt.Errorf("%w: spec.artifacts: %w", ErrNoSecret, err)
	}
	r.of, r.store = of, store
	return store, nil
}

// credentials are those of the Fleet's Secret; nil: it names none.
func (r *Registry) credentials(ctx context.Context, spec *fleetv1.ArtifactStore) ([]byte, error) {
	if spec.SecretRef == nil {
		return nil, nil
	}
	var secret corev1.Secret
	err := r.client.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: spec.SecretRef.Name}, &secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("get Secret %s/%s: %w", r.namespace, spec.SecretRef.Name, err)
	}
	config, ok := secret.Data[corev1.DockerConfigJsonKey]
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: %s/%s of the Fleet's spec.artifacts.secretRef does not exist; create it", ErrNoSecret, r.namespace, spec.SecretRef.Name)
	case !ok:
		return nil, fmt.Errorf("%w: %s/%s of the Fleet's spec.artifacts.secretRef has no key %q; make it of type %s", ErrNoSecret, r.namespace,
			spec.SecretRef.Name, corev1.DockerConfigJsonKey, corev1.SecretTypeDockerConfigJson)
	}
	return config, nil
}

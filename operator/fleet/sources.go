package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/steps"
)

// repository looks whether the config repository can be read, and what its newest commit is.
func (r *Reconciler) repository(ctx context.Context, obj *fleetv1.Fleet) (steps.Outcome, string) {
	spec := obj.Spec.ConfigRepository
	auth, err := r.auth(ctx, spec.SecretRef)
	if apierrors.IsNotFound(err) {
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonSecretMissing, Err: err,
			Message: fmt.Sprintf("Secret %s/%s of spec.configRepository.secretRef does not exist; create it with the keys that Flux's GitRepository uses", r.Namespace, spec.SecretRef.Name)}, ""
	}
	if err != nil {
		return steps.Internal(err), ""
	}
	if missing := r.writeSecretMissing(ctx, spec.WriteSecretRef); missing != nil {
		return *missing, ""
	}
	key := strings.Join([]string{spec.URL, spec.Branch, digest(auth), request(obj)}, "\n")
	revision, err := r.heads.Get(ctx, key, spec.Interval.Duration*3/4, func(ctx context.Context) (string, error) {
		return gitrepo.Head(ctx, spec.URL, spec.Branch, auth)
	})
	return repositoryRead(revision, err).Again(steps.Jitter(spec.Interval.Duration)), revision
}

// writeSecretMissing says that the Secret to write with is not there; nil when it is, or none is wanted.
// What it may do shows when something is written.
func (r *Reconciler) writeSecretMissing(ctx context.Context, ref *meta.LocalObjectReference) *steps.Outcome {
	_, err := r.auth(ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		return &steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonSecretMissing, Err: err,
			Message: fmt.Sprintf("Secret %s/%s of spec.configRepository.writeSecretRef does not exist; create it with the keys that Flux's GitRepository uses", r.Namespace, ref.Name)}
	case err != nil:
		return new(steps.Internal(err))
	}
	return nil
}

func repositoryRead(revision string, err error) steps.Outcome {
	if err != nil {
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonRepositoryUnreadable, Message: err.Error(), Err: err}
	}
	return steps.Succeeded("read %s", revision)
}

func (r *Reconciler) auth(ctx context.Context, ref *meta.LocalObjectReference) (gitrepo.Auth, error) {
	if ref == nil {
		return nil, nil
	}
	var secret corev1.Secret
	err := r.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: ref.Name}, &secret)
	return secret.Data, err
}

// artifact finds the Flux version that the Fleet's range stands for.
func (r *Reconciler) artifact(ctx context.Context, obj *fleetv1.Fleet) (steps.Outcome, string) {
	spec := obj.Spec.Flux
	key := strings.Join([]string{spec.Artifact, spec.Version, request(obj)}, "\n")
	version, err := r.versions.Get(ctx, key, versionLife, func(ctx context.Context) (flux.Version, error) {
		return r.Catalog.Resolve(ctx, spec.Artifact, spec.Version)
	})
	return artifactFound(version, err).Again(steps.Jitter(versionLife)), version.Tag
}

func artifactFound(version flux.Version, err error) steps.Outcome {
	switch {
	case err == nil:
		return steps.Succeeded("Flux %s (%s)", version.Tag, version.Digest)
	case errors.Is(err, flux.ErrVersionNotFound), errors.Is(err, flux.ErrRange):
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonVersionNotFound, Err: err,
			Message: err.Error() + "; set spec.flux.version to a range that has one"}
	}
	return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonArtifactFailed, Err: err,
		Message: err.Error() + "; check spec.flux.artifact and that the operator can reach the registry"}
}

// request is the forced reconcile that was asked for last; a new one makes everything be looked
// at again.
func request(obj *fleetv1.Fleet) string {
	value, _ := meta.ReconcileAnnotationValue(obj.Annotations)
	return value
}

// digest identifies a Secret's data without holding it.
func digest(data map[string][]byte) string {
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		fmt.Fprintf(sum, "%s %d ", key, len(data[key]))
		sum.Write(data[key])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

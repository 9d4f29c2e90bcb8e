// Package configrepo is the fleet's config repository as the operator uses it: one mirror that all clusters share, one
// queue that writes, and the credentials of both.
package configrepo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/memo"
)

// How long an error is remembered, and what was found in a commit, which never changes.
const (
	failureLife = 30 * time.Second // many clusters ask
	usesLife    = time.Hour
)

// Errors of this package; what wraps them names the Secret.
var (
	// ErrNoSecret: a Secret that the Fleet names does not exist.
	ErrNoSecret = errors.New("the Secret does not exist")
	// ErrNotWritable: the Fleet names no credentials to write with.
	ErrNotWritable = errors.New("the Fleet's configRepository has no writeSecretRef")
)

// committer is whose commits they are.
var committer = gitrepo.Identity{Name: "Fairway", Email: "fairway@fairway.dev"}

// Repository is the config repository. It is safe for concurrent use, and writes while Start runs.
type Repository struct {
	client    client.Reader
	namespace string
	mirror    *gitrepo.Mirror
	writer    *gitrepo.Writer
	snapshots memo.Memo[*gitrepo.Snapshot]
	uses      memo.Memo[[]layers.Use]
}

// New makes a Repository that reads its Secrets, uncached, from the operator's namespace.
func New(c client.Reader, namespace string, now clock.PassiveClock) *Repository {
	mirror := gitrepo.NewMirror()
	r := &Repository{client: c, namespace: namespace, mirror: mirror, writer: gitrepo.NewWriter(mirror, committer, now.Now)}
	r.snapshots.Now, r.snapshots.Failure = now.Now, failureLife
	r.uses.Now, r.uses.Failure = now.Now, failureLife
	return r
}

// Start writes what is submitted until ctx ends.
func (r *Repository) Start(ctx context.Context) error { return r.writer.Start(ctx) }

// Snapshot is the newest commit, or one that was the newest within the Fleet's interval, and never older than what Submit has written. A
// new status.configRevision, new credentials and a forced reconcile of the Fleet are looked at at once.
func (r *Repository) Snapshot(ctx context.Context, fleet *fleetv1.Fleet) (*gitrepo.Snapshot, error) {
	from, err := r.remote(ctx, fleet, fleet.Spec.ConfigRepository.SecretRef, "secretRef")
	if err != nil {
		return nil, err
	}
	requested, _ := meta.ReconcileAnnotationValue(fleet.Annotations)
	key := from.Key() + "\n" + fleet.Status.ConfigRevision + "\n" + requested
	life := fleet.Spec.ConfigRepository.Interval.Duration * 3 / 4
	found, err := r.snapshots.Get(ctx, key, life, func(ctx context.Context) (*gitrepo.Snapshot, error) {
		return r.mirror.Fetch(ctx, from)
	})
	if newest := r.mirror.Held(from.URL, from.Branch); err == nil && newest != nil {
		return newest, nil
	}
	return found, err
}

// Uses are the uses of variables in a folder of a snapshot. They are looked for once a commit, however
// many clusters apply the folder.
func (r *Repository) Uses(ctx context.Context, in *gitrepo.Snapshot, folder string) ([]layers.Use, error) {
	return r.uses.Get(ctx, in.Revision()+"\n"+folder, usesLife, func(context.Context) ([]layers.Use, error) {
		return layers.Uses(in, folder)
	})
}

// Submit writes a change to the branch that the clusters follow, and returns the revision that has it.
// Errors of change.Edit come back as they are; others wrap those of this package or of gitrepo.
func (r *Repository) Submit(ctx context.Context, fleet *fleetv1.Fleet, change gitrepo.Change) (revision string, err error) {
	if fleet.Spec.ConfigRepository.WriteSecretRef == nil {
		return "", ErrNotWritable
	}
	to, err := r.remote(ctx, fleet, fleet.Spec.ConfigRepository.WriteSecretRef, "writeSecretRef")
	if err != nil {
		return "", err
	}
	return r.writer.Submit(ctx, to, change)
}

// remote is the repository with the credentials of a Secret; nil: with none.
func (r *Repository) remote(ctx context.Context, fleet *fleetv1.Fleet, ref *meta.LocalObjectReference, field string) (gitrepo.Remote, error) {
	out := gitrepo.Remote{URL: fleet.Spec.ConfigRepository.URL, Branch: fleet.Spec.ConfigRepository.Branch}
	if ref == nil {
		return out, nil
	}
	var secret corev1.Secret
	err := r.client.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: ref.Name}, &secret)
	if apierrors.IsNotFound(err) {
		return out, fmt.Errorf("%w: %s/%s of the Fleet's configRepository.%s; create it", ErrNoSecret, r.namespace, ref.Name, field)
	}
	if err != nil {
		return out, fmt.Errorf("get Secret %s/%s: %w", r.namespace, ref.Name, err)
	}
	out.Auth = secret.Data
	return out, nil
}

package flux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/fairway-dev/fairway/clusters/oci"
)

// Bounds of what is taken from a registry.
const (
	maxCached     = 8  // digests; a distribution takes about 2 MiB
	maxTagsInText = 10 // tags that an error names
)

// Version is one version of a distribution.
type Version struct {
	Tag    string // "v2.9.5"
	Digest string // "sha256:…"
}

// Catalog reads Flux distributions from OCI repositories: an artifact is "oci://host/path", its
// tags are its versions. What was pulled is kept in memory by its digest. Plain HTTP is spoken to
// loopback hosts only. It is safe for concurrent use.
type Catalog struct {
	pulls singleflight.Group

	mu     sync.Mutex
	byID   map[string][]*unstructured.Unstructured // by digest; never changed once stored
	recent []string                                // digests, the last used last
}

// NewCatalog makes an empty catalog.
func NewCatalog() *Catalog {
	return &Catalog{byID: map[string][]*unstructured.Unstructured{}}
}

// Resolve finds the newest version of an artifact in a semver range ("2.9.x", ">=2.8 <3", "v2.9.5").
// Tags that are not semantic versions are ignored; pre-releases count only where the range names
// one. Errors wrap ErrRange, ErrVersionNotFound or ErrArtifact.
func (c *Catalog) Resolve(ctx context.Context, artifact, versionRange string) (Version, error) {
	constraint, err := semver.NewConstraint(versionRange)
	if err != nil {
		return Version{}, fmt.Errorf("%w: %q: %w", ErrRange, versionRange, err)
	}
	ctx, cancel := context.WithTimeout(ctx, oci.Timeout)
	defer cancel()
	repository, err := open(artifact)
	if err != nil {
		return Version{}, err
	}
	tags, err := oci.Tags(ctx, repository)
	if err != nil {
		return Version{}, explain(artifact, "list versions", err)
	}
	tag, err := newest(tags, constraint)
	if err != nil {
		return Version{}, fmt.Errorf("%w of %s is in the range %q", err, artifact, versionRange)
	}
	descriptor, err := repository.Resolve(ctx, tag)
	if err != nil {
		return Version{}, explain(artifact, "look up "+tag, err)
	}
	return Version{Tag: tag, Digest: descriptor.Digest.String()}, nil
}

// Manifests are the objects of a version that Resolve found, with the options applied. The caller
// owns them. Errors wrap ErrArtifact or ErrComponent.
func (c *Catalog) Manifests(ctx context.Context, artifact string, v Version, o Options) ([]*unstructured.Unstructured, error) {
	objs, err := c.objects(ctx, artifact, v.Digest)
	if err != nil {
		return nil, err
	}
	return o.apply(objs, v)
}

// objects are what a digest holds, pulled once however many ask at the same time.
func (c *Catalog) objects(ctx context.Context, artifact, digest string) ([]*unstructured.Unstructured, error) {
	if objs, ok := c.cached(digest); ok {
		return objs, nil
	}
	// One caller who goes away must not take the pull from the others.
	shared := context.WithoutCancel(ctx)
	result := c.pulls.DoChan(artifact+"@"+digest, func() (any, error) {
		ctx, cancel := context.WithTimeout(shared, oci.Timeout)
		defer cancel()
		objs, err := pull(ctx, artifact, digest)
		if err != nil {
			return nil, err
		}
		c.keep(digest, objs)
		return objs, nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("pull %s: %w", artifact, ctx.Err())
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]*unstructured.Unstructured), nil
	}
}

func (c *Catalog) cached(digest string) ([]*unstructured.Unstructured, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	objs, ok := c.byID[digest]
	if ok {
		c.recent = append(slices.DeleteFunc(c.recent, func(d string) bool { return d == digest }), digest)
	}
	return objs, ok
}

func (c *Catalog) keep(digest string, objs []*unstructured.Unstructured) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[digest]; ok {
		return
	}
	if len(c.recent) == maxCached {
		delete(c.byID, c.recent[0])
		c.recent = slices.Delete(c.recent, 0, 1)
	}
	c.byID[digest] = objs
	c.recent = append(c.recent, digest)
}

// newest is the tag of the highest version that a constraint allows. Its error names the newest
// tags there are.
func newest(tags []string, allowed *semver.Constraints) (string, error) {
	type candidate struct {
		tag     string
		version *semver.Version
	}
	var all []candidate
	for _, tag := range tags {
		if version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v")); err == nil {
			all = append(all, candidate{tag, version})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if order := b.version.Compare(a.version); order != 0 {
			return order
		}
		return strings.Compare(a.tag, b.tag)
	})
	there := make([]string, 0, maxTagsInText)
	for _, c := range all {
		if allowed.Check(c.version) {
			return c.tag, nil
		}
		if len(there) < maxTagsInText {
			there = append(there, c.tag)
		}
	}
	if len(there) == 0 {
		return "", fmt.Errorf("%w: there are no versions at all; no tag", ErrVersionNotFound)
	}
	return "", fmt.Errorf("%w: the newest are %s; none", ErrVersionNotFound, strings.Join(there, ", "))
}

// open makes the client of an artifact's repository.
func open(artifact string) (*remote.Repository, error) {
	repository, err := oci.Open(artifact, oci.NewClient(nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArtifactInvalid, err)
	}
	return repository, nil
}

// Errors of Catalog.
var (
	// ErrRange: the version range cannot be parsed.
	ErrRange = errors.New("version range is not valid")
	// ErrVersionNotFound: no tag of the artifact is in the range. The message names the newest.
	ErrVersionNotFound = errors.New("version not found")
	// ErrComponent: the artifact has no controller of that name. The message names those it has.
	ErrComponent = errors.New("component not found")

	// ErrArtifact: the artifact cannot be read. The ones below wrap it and say why.
	ErrArtifact             = errors.New("flux artifact cannot be read")
	ErrArtifactNotFound     = fmt.Errorf("%w: not found", ErrArtifact)
	ErrArtifactUnauthorized = fmt.Errorf("%w: not allowed", ErrArtifact)
	ErrRegistryUnreachable  = fmt.Errorf("%w: registry unreachable", ErrArtifact)
	ErrArtifactInvalid      = fmt.Errorf("%w: not a Flux distribution", ErrArtifact)
)

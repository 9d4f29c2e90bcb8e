package artifact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/lru"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/fairway-dev/fairway/clusters/oci"
)

// Media types of Flux's artifacts, as its own tools push them.
const (
	configType = "application/vnd.cncf.flux.config.v1+json"
	layerType  = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

const (
	readers   = 8      // manifests that are read at the same time for a list
	maxListed = 50_000 // artifacts that are remembered for lists; each takes about 500 bytes
)

// Store is a part of an OCI registry, with a repository for each service: below oci://registry.example.com/artifacts,
// payments/ledger has registry.example.com/artifacts/payments/ledger. Plain HTTP is spoken to loopback addresses only. It is
// safe for concurrent use.
type Store struct {
	url    string
	client *auth.Client
	listed *lru.Cache // Artifact by the tag's full reference: an id is never given to something else
}

// New makes a store. The registry is not asked. The error wraps ErrInvalid: the URL, or an entry of the credentials.
func New(url string, who Auth) (*Store, error) {
	url = strings.TrimRight(url, "/")
	const some = "team/service" // every service's repository is as good as another's
	base, err := oci.Open(url+"/"+some, nil)
	if err != nil {
		return nil, fmt.Errorf("use artifacts in %q: %w", url, err)
	}
	var credentials auth.CredentialFunc
	if who.of != nil {
		if credentials, err = who.of(base.Reference.Host(), strings.TrimSuffix(base.Reference.Repository, some)); err != nil {
			return nil, err
		}
	}
	return &Store{url: url, client: oci.NewClient(credentials), listed: lru.New(maxListed)}, nil
}

// Resolve finds an artifact by its id. Errors wrap those of this package; ErrInvalid is one that is not what its id says.
func (s *Store) Resolve(ctx context.Context, team, service, id string) (Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, oci.Timeout)
	defer cancel()
	op := fmt.Sprintf("find artifact %s of %s/%s", id, team, service)
	if !isID(id) {
		return Artifact{}, fmt.Errorf("%s: %w: an id is <branch>-<7 digits of the commit>-<4 digits of the content>", op, ErrNotFound)
	}
	repository, err := s.open(team, service)
	if err != nil {
		return Artifact{}, fmt.Errorf("%s: %w", op, err)
	}
	found, err := read(ctx, repository, team, service, id)
	if err != nil {
		return Artifact{}, fmt.Errorf("%s in %s: %w", op, s.url, err)
	}
	return found, nil
}

// List is a service's artifacts, the newest first, at most n of them; 0: all. Tags that are no artifacts of the service are
// left out; Resolve says what is wrong with one. What was read once is remembered by its id. A service of which nothing was
// ever pushed is ErrNotFound, and a repository with more than 10,000 tags is ErrTooLarge.
func (s *Store) List(ctx context.Context, team, service string, n int) ([]Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, oci.Timeout)
	defer cancel()
	op := fmt.Sprintf("list artifacts of %s/%s", team, service)
	repository, err := s.open(team, service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	tags, err := oci.Tags(ctx, repository)
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", op, s.url, err)
	}
	found, err := s.all(ctx, repository, team, service, slices.DeleteFunc(tags, func(tag string) bool { return !isID(tag) }))
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", op, s.url, err)
	}
	slices.SortFunc(found, func(a, b Artifact) int {
		return cmp.Or(b.Created.Compare(a.Created.Time), cmp.Compare(a.ID, b.ID))
	})
	if n > 0 && len(found) > n {
		found = found[:n]
	}
	return found, nil
}

// all reads the artifacts of ids, in no order, without those that are none, or that went away meanwhile.
func (s *Store) all(ctx context.Context, repository *remote.Repository, team, service string, ids []string) ([]Artifact, error) {
	read := make([]Artifact, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, id := range ids {
		group.Go(func() (err error) {
			read[i], err = s.remembered(ctx, repository, team, service, id)
			if errors.Is(err, ErrInvalid) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(read, func(a Artifact) bool { return a.ID == "" }), nil
}

func (s *Store) remembered(ctx context.Context, repository *remote.Repository, team, service, id string) (Artifact, error) {
	key := repository.Reference.String() + ":" + id
	if known, ok := s.listed.Get(key); ok {
		return known.(Artifact), nil
	}
	found, err := read(ctx, repository, team, service, id)
	if err == nil {
		s.listed.Add(key, found)
	}
	return found, err
}

// open is the repository of a service.
func (s *Store) open(team, service string) (*remote.Repository, error) {
	if err := checkService(team, service); err != nil {
		return nil, err
	}
	return oci.Open(s.url+"/"+team+"/"+service, s.client)
}

// read is the artifact that a tag names.
func read(ctx context.Context, repository *remote.Repository, team, service, id string) (Artifact, error) {
	manifest, digest, err := oci.Manifest(ctx, repository, id)
	if err != nil {
		return Artifact{}, err
	}
	found, err := describe(team, service, digest, manifest)
	if err == nil && found.ID != id {
		err = fmt.Errorf("%w: what it says of itself makes it %s", ErrInvalid, found.ID)
	}
	if err != nil {
		return Artifact{}, err
	}
	return found, nil
}

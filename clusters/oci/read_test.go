package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
)

const layerType = "application/vnd.example.layer"

func open(t *testing.T, r *ocitest.Registry, path string) *remote.Repository {
	t.Helper()
	repository, err := Open(r.URL(path), NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// push writes a manifest with layers.
func push(t *testing.T, to *remote.Repository, tag string, layers ...ocispec.Descriptor) {
	t.Helper()
	manifest, err := oras.PackManifest(t.Context(), to, oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
}

func blob(t *testing.T, to *remote.Repository, mediaType, text string) ocispec.Descriptor {
	t.Helper()
	out, err := oras.PushBytes(t.Context(), to, mediaType, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestALayerIsReadWithinItsBounds(t *testing.T) {
	r := ocitest.Start(t)
	repository := open(t, r, "a/b")
	one := blob(t, repository, layerType, "twelve bytes")
	huge, short, other := one, one, blob(t, repository, "application/vnd.example.other", "x")
	huge.Size, short.Size = 100<<20, 6
	for i, c := range []struct {
		name   string
		layers []ocispec.Descriptor
		limit  int64
		want   string
		err    error
	}{
		{"of several layers, the one that is meant", []ocispec.Descriptor{other, one}, 12, "twelve bytes", nil},
		{"none", []ocispec.Descriptor{other}, 12, "", ErrInvalid},
		{"two", []ocispec.Descriptor{one, one}, 12, "", ErrInvalid},
		{"larger than the limit", []ocispec.Descriptor{one}, 11, "", ErrTooLarge},
		{"100 MiB", []ocispec.Descriptor{huge}, 10 << 20, "", ErrTooLarge},
		{"more than it says", []ocispec.Descriptor{short}, 12, "", ErrUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			tag := fmt.Sprint("v", i)
			push(t, repository, tag, c.layers...)
			manifest, _, err := Manifest(t.Context(), repository, tag)
			if err != nil {
				t.Fatal(err)
			}
			r.Asked()
			got, err := Layer(t.Context(), repository, manifest, layerType, c.limit)
			if !errors.Is(err, c.err) || string(got) != c.want {
				t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
			}
			if asked := r.Asked(); errors.Is(err, ErrTooLarge) && len(asked) > 0 {
				t.Errorf("the registry was asked for what is too large: %v", asked)
			}
		})
	}
}

func TestTagsAreAllThatThereAre(t *testing.T) {
	repository := open(t, ocitest.Start(t), "a/b")
	push(t, repository, "v0")
	for _, tag := range []string{"v1", "v2", "v3", "v4"} {
		if _, err := oras.Tag(t.Context(), repository, "v0", tag); err != nil {
			t.Fatal(err)
		}
	}
	tags, err := Tags(t.Context(), repository)
	if diff := cmp.Diff([]string{"v0", "v1", "v2", "v3", "v4"}, tags); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestErrorsAreSortedByWhatMendsThem(t *testing.T) {
	locked := ocitest.Start(t)
	locked.Want("ledger", "secret")
	for name, c := range map[string]struct {
		from *ocitest.Registry
		want error
	}{
		"nobody answers":                  {ocitest.Dead(t), ErrUnreachable},
		"a repository that is not there":  {ocitest.Start(t), ErrNotFound},
		"not found":                       {ocitest.Refusing(t, http.StatusNotFound), ErrNotFound},
		"a login is wanted":               {locked, ErrUnauthorized},
		"forbidden":                       {ocitest.Refusing(t, http.StatusForbidden), ErrUnauthorized},
		"the registry is broken":          {ocitest.Refusing(t, http.StatusTeapot), ErrUnreachable},
		"unauthorized without saying how": {ocitest.Refusing(t, http.StatusUnauthorized), ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Manifest(t.Context(), open(t, c.from, "a/b"), "v1")
			if !errors.Is(err, c.want) {
				t.Errorf("manifest: %v, want %v", err, c.want)
			}
			if _, err = Tags(t.Context(), open(t, c.from, "a/b")); !errors.Is(err, c.want) {
				t.Errorf("tags: %v, want %v", err, c.want)
			}
		})
	}
}

func TestSortLeavesWhatIsSorted(t *testing.T) {
	gone := fmt.Errorf("list: %w", context.Canceled)
	known := fmt.Errorf("list: %w", ErrTooLarge)
	for _, err := range []error{nil, gone, known} {
		if got := Sort(err); got != err { //nolint:errorlint // the very same
			t.Errorf("%v became %v", err, got)
		}
	}
	if got := Sort(context.DeadlineExceeded); !errors.Is(got, ErrUnreachable) || !errors.Is(got, context.DeadlineExceeded) {
		t.Errorf("no answer in time became %v", got)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"", "oci://", "oci://example.com", "https://example.com/a", "oci://example.com/a:v1", "oci://example.com/A",
		"oci://user:password@example.com/a", "oci://example.com/a?b=c"} {
		if repository, err := Open(address, NewClient(nil)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", address, repository, err)
		}
	}
}

package artifact

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/oci"
)

// Errors of Store, and of Read. The text of what wraps them names the artifact or the file.
var (
	ErrNotFound     = oci.ErrNotFound     // the registry has no such artifact, or none of the service
	ErrUnauthorized = oci.ErrUnauthorized // the registry refuses the credentials, or wants some
	ErrUnreachable  = oci.ErrUnreachable  // no connection, or no answer in time; it may go away by itself
	ErrTooLarge     = oci.ErrTooLarge     // larger than the bounds; it was not read
	ErrInvalid      = oci.ErrInvalid      // it is no artifact that could be released, or not what its id says
	ErrTaken        = fmt.Errorf("%w: the id is taken by something else", oci.ErrInvalid)
)

// Metadata is what an artifact says of where it comes from.
type Metadata = fleetv1.ArtifactSource

// Artifact is one artifact of a service, as the registry has it.
type Artifact struct {
	ID      string // "<branch>-<7 digits of the commit>-<4 digits of Content>"
	Digest  string // "sha256:…" of its OCI manifest, so of all that it is
	Content string // "sha256:…" of its files, packed but not compressed: whoever packs the same files has the same
	Metadata
}

// Keys of the manifest's annotations, beside those of OCI.
const (
	annotationService = "dev.fairway.service" // "payments/ledger"
	annotationBranch  = "dev.fairway.branch"
	annotationAuthor  = "dev.fairway.author"
	annotationCI      = "dev.fairway.ci"
	annotationContent = "dev.fairway.content" // Artifact.Content
)

// Bounds of an id and of metadata, in bytes.
const (
	maxID       = 63 // a label's value, and an OCI tag
	commitShort = 7
	digestShort = 4
	maxBranch   = maxID - commitShort - digestShort - 2
	maxText     = 1024
	maxService  = 63 // of "<team>.<service>", which names an object
)

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?-[0-9a-f]{7}-[0-9a-f]{4}$`)
	commitPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	sumPattern    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// id is the id of an artifact whose metadata and content are valid.
func id(m Metadata, content string) string {
	branch := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(m.Branch))
	branch = strings.TrimLeft(branch, "-")
	branch = strings.TrimRight(branch[:min(len(branch), maxBranch)], "-")
	if branch == "" {
		branch = "branch" // its name is in another script
	}
	return fmt.Sprintf("%s-%s-%s", branch, m.Commit[:commitShort], strings.TrimPrefix(content, "sha256:")[:digestShort])
}

// isID says whether a text can be an id.
func isID(text string) bool { return len(text) <= maxID && idPattern.MatchString(text) }

// checkService says whether team and service can be names of objects, labels and a repository.
func checkService(team, service string) error {
	for _, name := range []string{team, service} {
		if len(validation.IsDNS1123Label(name)) > 0 {
			return fmt.Errorf("%w: service %q: team and service are lower-case letters, digits and \"-\"", ErrInvalid, team+"/"+service)
		}
	}
	if len(team)+1+len(service) > maxService {
		return fmt.Errorf("%w: service %s/%s: team and service have more than %d characters", ErrInvalid, team, service, maxService-1)
	}
	return nil
}

// normal is metadata as it is stored: times to the second, addresses without credentials.
func normal(m Metadata) Metadata {
	m.Commit = strings.ToLower(m.Commit)
	m.Repository, m.CI = withoutCredentials(m.Repository), withoutCredentials(m.CI)
	if m.Created != nil {
		m.Created = &metav1.Time{Time: m.Created.UTC().Truncate(time.Second)}
	}
	return m
}

// withoutCredentials takes user and password out of an address; SSH needs its user.
func withoutCredentials(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.User == nil {
		return address // such as git@example.com:payments/ledger.git
	}
	if parsed.Scheme == "ssh" {
		parsed.User = url.User(parsed.User.Username())
	} else {
		parsed.User = nil
	}
	return parsed.String()
}

// check says what is wrong with metadata, which may be anybody's.
func check(m Metadata) error {
	for _, text := range []string{m.Branch, m.Commit, m.Author, m.Repository, m.CI} {
		if len(text) > maxText || strings.ContainsFunc(text, unprintable) {
			return fmt.Errorf("%w: %.100q is not one line of at most %d bytes", ErrInvalid, text, maxText)
		}
	}
	switch {
	case m.Branch == "" || strings.Contains(m.Branch, " "):
		return fmt.Errorf("%w: branch %q is not the name of a branch", ErrInvalid, m.Branch)
	case !commitPattern.MatchString(m.Commit):
		return fmt.Errorf("%w: commit %q does not have 40 or 64 hex digits", ErrInvalid, m.Commit)
	case m.Created.IsZero():
		return fmt.Errorf("%w: it does not say when it was made", ErrInvalid)
	case m.CI != "" && !strings.HasPrefix(m.CI, "https://") && !strings.HasPrefix(m.CI, "http://"):
		return fmt.Errorf("%w: CI run %q is not an address that a browser opens", ErrInvalid, m.CI)
	}
	return nil
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
}

// annotations are what a manifest says of an artifact.
func annotations(team, service string, a Artifact) map[string]string {
	out := map[string]string{
		ocispec.AnnotationRevision: revisionOf(a.Metadata),
		ocispec.AnnotationCreated:  a.Created.Format(time.RFC3339),
		annotationService:          team + "/" + service,
		annotationBranch:           a.Branch,
		annotationContent:          a.Content,
	}
	for key, value := range map[string]string{ocispec.AnnotationSource: a.Repository, annotationAuthor: a.Author, annotationCI: a.CI} {
		if value != "" {
			out[key] = value
		}
	}
	return out
}

// revisionOf is a commit as Flux writes it: "main@sha1:<40 hex digits>".
func revisionOf(m Metadata) string {
	if len(m.Commit) == 64 {
		return m.Branch + "@sha256:" + m.Commit
	}
	return m.Branch + "@sha1:" + m.Commit
}

// describe reads the manifest of an artifact. Its error wraps ErrInvalid: it is none, or another service's.
func describe(team, service, digest string, manifest ocispec.Manifest) (Artifact, error) {
	said := manifest.Annotations
	if manifest.Config.MediaType != configType {
		return Artifact{}, fmt.Errorf("%w: its config is of type %q, not %s", ErrInvalid, manifest.Config.MediaType, configType)
	}
	if said[annotationService] != team+"/"+service {
		return Artifact{}, fmt.Errorf("%w: it is an artifact of service %q", ErrInvalid, said[annotationService])
	}
	created, err := time.Parse(time.RFC3339, said[ocispec.AnnotationCreated])
	if err != nil {
		return Artifact{}, fmt.Errorf("%w: when it was made: %w", ErrInvalid, err)
	}
	a := Artifact{Digest: digest, Content: said[annotationContent], Metadata: normal(Metadata{
		Repository: said[ocispec.AnnotationSource], Branch: said[annotationBranch], Author: said[annotationAuthor],
		CI: said[annotationCI], Created: &metav1.Time{Time: created},
	})}
	revision := said[ocispec.AnnotationRevision]
	a.Commit = revision[strings.LastIndexByte(revision, ':')+1:]
	if err := check(a.Metadata); err != nil {
		return Artifact{}, err
	}
	if revision != revisionOf(a.Metadata) || !sumPattern.MatchString(a.Content) {
		return Artifact{}, fmt.Errorf("%w: its annotations contradict each other", ErrInvalid)
	}
	a.ID = id(a.Metadata, a.Content)
	return a, nil
}

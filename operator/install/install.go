// Package install holds Fairway's own manifests for the platform cluster and renders them.
package install

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strconv"
	"text/template"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/fairway-dev/fairway/api/crd"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// DefaultRegistry is where Fairway's images are published.
const DefaultRegistry = "ghcr.io/fairway-dev"

// ErrOptions is wrapped by Manifests when an option cannot be used.
var ErrOptions = errors.New("install options are not valid")

// What images are called, after the grammar of OCI references.
var (
	tagGrammar      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	registryGrammar = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
)

// Options are what differs from one installation to another.
type Options struct {
	// Version is the tag of the images. Required.
	Version string
	// Registry of the images, with its path. Empty: DefaultRegistry.
	Registry string
	// EventsURL (tls://host:port) is where agents reach the event bus when not over the load balancer
	// of Service fairway-events: that Service is then of type ClusterIP, for an ingress of your own.
	// The Fleet's spec.events.url must say the same.
	EventsURL string
	// Storage is the size of the hub's volume ("10Gi"), where events are kept. Empty: they are kept
	// in the pod and lost with it.
	Storage string
}

// Manifests renders the definitions of Fairway's kinds, its namespace, rights, Services, operator
// and hub: YAML documents in the order in which they can be applied. The same options give the same
// bytes. Errors wrap ErrOptions.
func Manifests(o Options) ([]byte, error) {
	o.Registry = cmp.Or(o.Registry, DefaultRegistry)
	if err := o.validate(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	definitions, err := crd.All()
	if err != nil {
		return nil, err
	}
	for _, definition := range definitions {
		out.Write(bytes.TrimPrefix(definition, []byte("---\n")))
		out.WriteString("---\n")
	}
	names, err := fs.Glob(manifests, "manifests/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	for i, name := range names {
		if i > 0 {
			out.WriteString("---\n")
		}
		if err := render(&out, name, o); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func render(out *bytes.Buffer, name string, o Options) error {
	text, err := manifests.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read manifest %s: %w", name, err)
	}
	parsed, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(string(text))
	if err != nil {
		return fmt.Errorf("parse manifest %s: %w", name, err)
	}
	if err := parsed.Execute(out, o); err != nil {
		return fmt.Errorf("render manifest %s: %w", name, err)
	}
	return nil
}

// Image is the image of one of Fairway's processes.
func (o Options) Image(process string) string { return o.Registry + "/" + process + ":" + o.Version }

// HubKind is the kind of the hub's workload: one with a volume of its own, or one without.
func (o Options) HubKind() string {
	if o.Storage == "" {
		return "Deployment"
	}
	return "StatefulSet"
}

// MaxBytes is how much of the hub's volume events may fill, in bytes: three quarters. The rest is
// for what JetStream keeps beside them. Zero: the hub's own bound.
func (o Options) MaxBytes() int64 {
	if o.Storage == "" {
		return 0
	}
	size := resource.MustParse(o.Storage) // validated before
	return size.Value() / 4 * 3
}

// EventsServiceType is the type of Service fairway-events.
func (o Options) EventsServiceType() string {
	if o.EventsURL == "" {
		return "LoadBalancer"
	}
	return "ClusterIP"
}

// validate refuses what would make other YAML than is meant, or no use.
func (o Options) validate() error {
	if !tagGrammar.MatchString(o.Version) {
		return fmt.Errorf("%w: version %q is no tag of an image", ErrOptions, o.Version)
	}
	if !registryGrammar.MatchString(o.Registry) {
		return fmt.Errorf("%w: registry %q must be host[:port][/path]", ErrOptions, o.Registry)
	}
	if o.EventsURL != "" {
		u, err := url.Parse(o.EventsURL)
		if err != nil || u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" {
			return fmt.Errorf("%w: events URL %q must be tls://host:port", ErrOptions, o.EventsURL)
		}
	}
	if o.Storage != "" {
		size, err := resource.ParseQuantity(o.Storage)
		if err != nil || size.Sign() <= 0 {
			return fmt.Errorf("%w: storage %q must be a size, such as 10Gi", ErrOptions, o.Storage)
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/natsauth"
	"github.com/spf13/cobra"
)

// readerMaker is what making a reader takes of the platform.
type readerMaker interface {
	Reader(ctx context.Context, name string, life time.Duration) (natsauth.User, []byte, error)
	Address(ctx context.Context, fleet *fleetv1.Fleet) (string, error)
	Fleet(ctx context.Context) (*fleetv1.Fleet, error)
}

const (
	formatCreds  format = "creds"
	formatSecret format = "secret"

	readerLife    = 30 * 24 * time.Hour
	minReaderLife = time.Minute
)

func newCredentials(sh *shell, conn *connection, connect func() (readerMaker, error)) *cobra.Command {
	v := &credentialsVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:   "credentials --name NAME",
		Short: "Make a user of the event bus that reads events and nothing else, for a dashboard",
		Long: `Make a user of the event bus that reads events and nothing else, for a dashboard. It can make ordered consumers, and the
durable pull consumer of its own name, on the stream ` + event.StreamEvents + `.

It is signed here with the fleet's key, which you must be allowed to read: ` + "`get` on Secret " + eventbus.KeysName + " in " + fleetv1.SystemNamespace + `.
Nothing is stored. What is printed is a secret; how to connect with it is said on stderr.`,
		Example: sh.examples("events credentials --name grafana > grafana.creds",
			"events credentials --name grafana --expires 2160h -o secret | kubectl -n monitoring apply -f -",
			"events credentials --name grafana -o json"),
		Args: cobra.NoArgs,
		RunE: v.run,
	}
	f := cmd.Flags()
	f.StringVar(&v.name, "name", "", "Who reads: lower-case letters, digits and dashes; also the name of its durable consumer")
	f.DurationVar(&v.life, "expires", readerLife, "How long the credentials are good for")
	v.out.addFlags(cmd, formatCreds, formatJSON, formatSecret)
	return cmd
}

type credentialsVerb struct {
	sh      *shell
	conn    *connection
	connect func() (readerMaker, error)
	out     output
	name    string
	life    time.Duration
}

// reader is what -o json prints.
type reader struct {
	Name        string    `json:"name"`
	URL         string    `json:"url"`
	Stream      string    `json:"stream"`
	InboxPrefix string    `json:"inboxPrefix"` // the only reply subjects that it may subscribe
	Expires     time.Time `json:"expires"`
	PublicKey   string    `json:"publicKey"` // names it in a revocation
	Creds       string    `json:"creds"`
	CA          string    `json:"ca"`
}

func (v *credentialsVerb) run(cmd *cobra.Command, _ []string) error {
	switch {
	case !event.ValidCluster(v.name):
		return v.sh.usage("events credentials", "--name: %q is not 1 to 63 lower-case letters, digits and dashes", v.name)
	case v.life < minReaderLife:
		return v.sh.usage("events credentials", "--expires: %s is shorter than %s", v.life, minReaderLife)
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.connect()
	if err != nil {
		return err
	}
	r, err := v.mint(ctx, platform)
	if err != nil {
		return err
	}
	if r.URL, err = v.address(ctx, platform, cmd.ErrOrStderr()); err != nil {
		return err
	}
	if err := v.print(cmd.OutOrStdout(), r); err != nil {
		return err
	}
	v.explain(cmd.ErrOrStderr(), r)
	return nil
}

func (v *credentialsVerb) mint(ctx context.Context, platform readerMaker) (reader, error) {
	user, ca, err := platform.Reader(ctx, v.name, v.life)
	if err != nil {
		return reader{}, &client.Error{Op: "make credentials of the event bus", Err: err, Fix: v.fixOfKeys(err)}
	}
	return reader{
		Name: user.Name, Stream: event.StreamEvents, InboxPrefix: user.InboxPrefix, Expires: user.Expires.UTC(),
		PublicKey: user.PublicKey, Creds: string(user.Creds), CA: string(ca),
	}, nil
}

// fixOfKeys is what can be done when the fleet's keys cannot be had.
func (v *credentialsVerb) fixOfKeys(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("ask a platform engineer to run this command for you with -o secret: who may get Secret %s can be anybody on the event bus, so few may. Whether you do: kubectl -n %s auth can-i get secret/%s",
			eventbus.KeysName, v.conn.namespace, eventbus.KeysName)
	case apierrors.IsUnauthorized(err):
		return "the platform does not accept the kubeconfig's credentials; log in again, then: kubectl auth whoami"
	case errors.Is(err, eventbus.ErrNoKeys):
		return fmt.Sprintf("the operator makes the keys when it first runs; check that this is the platform cluster: kubectl -n %s get deployments", v.conn.namespace)
	}
	return ""
}

// address is what a dashboard dials. Where no address for the outside is known, it is the one inside the
// platform.
func (v *credentialsVerb) address(ctx context.Context, platform readerMaker, stderr io.Writer) (string, error) {
	fleet, err := platform.Fleet(ctx)
	if err == nil {
		var url string
		if url, err = platform.Address(ctx, fleet); err == nil {
			return url, nil
		}
	}
	if !errors.Is(err, eventbus.ErrNoAddress) && !apierrors.IsNotFound(err) {
		return "", &client.Error{Op: "find the address of the event bus", Err: err,
			Fix: "it takes the right to get fleets, and services in " + v.conn.namespace + "; ask for it"}
	}
	caution(stderr, "the event bus has no address outside of the platform (%s); this one is for pods there", clean(err.Error()))
	return "tls://" + eventbus.EventsService + "." + v.conn.namespace + ".svc:4222", nil
}

func (v *credentialsVerb) print(w io.Writer, r reader) error {
	switch v.out.format {
	case formatJSON:
		return writeJSON(w, r, "  ")
	case formatSecret:
		return writeYAML(w, secretOf(r))
	}
	_, err := io.WriteString(w, r.Creds)
	return err
}

// secretOf is a manifest for the cluster where the dashboard runs.
func secretOf(r reader) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{
			"name":        "fairway-events-" + r.Name,
			"labels":      map[string]string{"app.kubernetes.io/part-of": "fairway"},
			"annotations": map[string]string{"fairway.dev/expires": r.Expires.Format(time.RFC3339), "fairway.dev/public-key": r.PublicKey},
		},
		"stringData": map[string]string{
			"url": r.URL, "user.creds": r.Creds, "ca.crt": r.CA, "inbox-prefix": r.InboxPrefix, "stream": r.Stream,
		},
	}
}

// explain says how to connect.
func (v *credentialsVerb) explain(stderr io.Writer, r reader) {
	done(stderr, "%s may read %s at %s until %s", r.Name, r.Stream, r.URL, r.Expires.Format(time.RFC3339))
	if v.out.format == formatCreds {
		hint(stderr, "the authority of its certificate: kubectl -n %s get configmap %s -o jsonpath='{.data.ca\\.crt}' > ca.crt", v.conn.namespace, eventbus.HubName)
		hint(stderr, "nats --server %s --creds %s.creds --tlsca ca.crt --inbox-prefix %s stream info %s", r.URL, r.Name, r.InboxPrefix, r.Stream)
	}
	hint(stderr, "every client needs the inbox prefix %s; its durable consumer is called %s", r.InboxPrefix, r.Name)
}

// busKeys is what the platform cluster knows of the event bus, read with the caller's rights.
type busKeys struct{ *eventbus.Store }

// Fleet reads the Fleet.
func (k busKeys) Fleet(ctx context.Context) (*fleetv1.Fleet, error) {
	fleet := &fleetv1.Fleet{}
	if err := k.Client.Get(ctx, types.NamespacedName{Name: fleetv1.FleetName}, fleet); err != nil {
		return nil, fmt.Errorf("get Fleet: %w", err)
	}
	return fleet, nil
}

// eventBus reads the platform cluster, not the hub.
func (c *connection) eventBus() (readerMaker, error) {
	platform, err := c.platform()
	if err != nil {
		return nil, err
	}
	return busKeys{&eventbus.Store{Client: platform, Namespace: c.namespace, Now: time.Now}}, nil
}

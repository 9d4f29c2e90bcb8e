package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// hubWithin bounds how long status waits for the hub, without which it says less.
const hubWithin = 10 * time.Second

func newStatus(sh *shell, conn *connection, connect func(context.Context) (serviceLister, error)) *cobra.Command {
	v := &statusVerb{sh: sh, conn: conn, connect: connect}
	cmd := &cobra.Command{
		Use:   "status [TEAM/SERVICE]",
		Short: "Show what every cluster is to run of a service, and what it runs",
		Long: `Show what every cluster is to run of a service, and what it runs.

What it is to run comes from the Releases on the platform cluster: the newest one of each environment is beside it. What it runs comes
from the hub, and is called unknown where the cluster is silent. Without a hub nothing is said of what runs.

With --wait it waits until the newest release of each environment has ended, as release --wait does.`,
		Example: sh.examples("status payments/ledger", "status", "status payments/ledger --env prod --wait"),
		Args:    atMostOne(sh, "status"),
		RunE:    v.run,
	}
	f := cmd.Flags()
	addServiceFlag(f, &v.service)
	f.StringSliceVarP(&v.environments, "env", "e", nil, "Only these environments")
	f.BoolVar(&v.wait, "wait", false, "Wait until the newest release of each environment has ended; fail unless every cluster is healthy on it")
	f.DurationVar(&v.limit, "timeout", waitLimit, "How long --wait waits; 0: until they have ended")
	v.out.addFlags(cmd, listFormats...)
	alsoEnvironment(f)
	return cmd
}

type statusVerb struct {
	sh           *shell
	conn         *connection
	connect      func(context.Context) (serviceLister, error)
	service      string
	environments []string
	wait         bool
	limit        time.Duration
	out          output
}

func (v *statusVerb) run(cmd *cobra.Command, args []string) error {
	service, err := v.conn.findID(v.sh, "status", v.service, args)
	if err != nil {
		return err
	}
	ctx, cancel := v.conn.bound(cmd.Context())
	defer cancel()
	platform, err := v.conn.openReleases()
	if err != nil {
		return err
	}
	seen, err := v.see(ctx, platform, service)
	if err != nil {
		return err
	}
	var waited error
	if v.wait {
		waited = v.follow(cmd, platform, &seen)
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	var missing error
	if seen.running, missing = v.running(cmd.Context(), service); missing != nil {
		message, fix := explain(missing)
		caution(cmd.ErrOrStderr(), "what runs is not known: %s", sentence("; ", message, fix))
	}
	if seen.running == nil && len(seen.releases) == 0 {
		return missingService(ctx, v.sh, platform, service)
	}
	if err := v.out.print(cmd.OutOrStdout(), v.sh, statusDocument(v.sh, seen.state(missing == nil))); err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	return waited
}

// see reads the platform's side.
func (v *statusVerb) see(ctx context.Context, platform releases, service serviceID) (sight, error) {
	items, err := platform.of(ctx, service)
	if err != nil {
		return sight{}, err
	}
	order, err := platform.environments(ctx)
	if err != nil && !apierrors.IsForbidden(err) { // who may not list them gets their order by name
		return sight{}, err
	}
	seen := sight{service: service, releases: items, order: order, only: v.environments}
	for _, name := range v.environments {
		if _, err := environmentOf(v.sh, order, name); err != nil && len(order) > 0 {
			return sight{}, err
		}
	}
	return seen, nil
}

// follow waits until the newest Release of each environment has ended.
func (v *statusVerb) follow(cmd *cobra.Command, platform releases, seen *sight) error {
	var newest []fleetv1.Release
	for _, name := range seen.environments() {
		if r := seen.newest(name); r != nil {
			newest = append(newest, *r)
		}
	}
	if len(newest) == 0 {
		return v.sh.usage("status", "there is no release to wait for")
	}
	w := waiter{sh: v.sh, platform: platform, limit: v.limit}
	ended, err := w.wait(cmd.Context(), cmd.ErrOrStderr(), newest)
	for _, r := range ended {
		if i := slices.IndexFunc(seen.releases, func(have fleetv1.Release) bool { return have.UID == r.UID }); i >= 0 {
			seen.releases[i] = r
		}
	}
	return err
}

// running asks the hub what runs; nil and no error when it knows nothing of the service.
func (v *statusVerb) running(ctx context.Context, service serviceID) (*rest.Service, error) {
	within := hubWithin
	if v.conn.timeout > 0 {
		within = min(within, v.conn.timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	h, err := v.connect(ctx)
	if err != nil {
		return nil, err
	}
	found, err := h.Services(ctx, client.Filter{Team: service.team, Service: service.name})
	if err != nil {
		return nil, err
	}
	for i := range found.Items {
		if serviceName(found.Items[i]) == service.String() {
			return &found.Items[i], nil
		}
	}
	return nil, nil
}

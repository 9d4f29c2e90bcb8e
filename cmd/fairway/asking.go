package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// waitLimit is how long --wait waits where --timeout does not say.
const waitLimit = time.Hour

// asking is what the verbs share that ask for releases.
type asking struct {
	sh      *shell
	conn    *connection
	verb    string
	service string
	message string
	wait    bool
	limit   time.Duration
	out     output
}

func (a *asking) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	addServiceFlag(f, &a.service)
	f.StringVarP(&a.message, "message", "m", "", "More to say of it, for people and for the commit")
	f.BoolVar(&a.wait, "wait", false, "Wait until every cluster is healthy on the artifact, or one is not")
	f.DurationVar(&a.limit, "timeout", waitLimit, "How long --wait waits; 0: until the release has ended")
	a.out.addFlags(cmd, listFormats...)
	alsoEnvironment(f)
}

func addServiceFlag(f *pflag.FlagSet, service *string) {
	f.StringVarP(service, "service", "s", "", "Service, TEAM/NAME; without it that of the argument, or of fairway.yaml or shuttle.yaml in this folder or above")
}

// alsoEnvironment takes --environment for --env, since other verbs have it.
func alsoEnvironment(f *pflag.FlagSet) {
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "environment" {
			name = "env"
		}
		return pflag.NormalizedName(name)
	})
}

// atMostOne wants at most one argument, the service.
func atMostOne(sh *shell, verb string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return sh.usage(verb, "it takes one service, not %d", len(args))
		}
		return nil
	}
}

// findID is the service that was asked for, by argument, flag or folder. A name alone is one of the team
// of --namespace, or of the folder's.
func (c *connection) findID(sh *shell, verb, flag string, args []string) (serviceID, error) {
	given := flag
	if len(args) > 0 {
		if flag != "" && flag != args[0] {
			return serviceID{}, sh.usage(verb, "the argument says %s and --service says %s", args[0], flag)
		}
		given = args[0]
	}
	if given != "" && !strings.Contains(given, "/") {
		given = strings.TrimPrefix(c.ownTeam()+"/"+given, "/")
	}
	team, name, err := findService(".", given)
	if err != nil {
		return serviceID{}, err
	}
	if c.team() != "" && team != c.team() {
		return serviceID{}, sh.usage(verb, "%s/%s is not of the team %s, which --namespace names", team, name, c.team())
	}
	return serviceID{team, name}, nil
}

// ownTeam is the team of --namespace, or of the folder's service; "" for none.
func (c *connection) ownTeam() string {
	if c.team() != "" {
		return c.team()
	}
	team, _, err := findService(".", "")
	if err != nil {
		return "" // the name is refused, then, for having none
	}
	return team
}

// caller is who the platform takes the caller for, --as included.
func (r releases) caller(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := r.Create(ctx, review); err != nil {
		return "", &client.Error{Op: "ask the platform who you are", Err: err, Fix: fixOfPlatform(err)}
	}
	return review.Status.UserInfo.Username, nil
}

// knowEnvironments refuses names that no Environment has. Who may not list them is told that they are not
// known to be there.
func (a *asking) knowEnvironments(ctx context.Context, platform releases, stderr io.Writer, names ...string) error {
	all, err := platform.environments(ctx)
	if apierrors.IsForbidden(err) {
		caution(stderr, "you may not list Environments: the operator says whether %s is there", listed(names, "and"))
		return nil
	}
	if err != nil {
		return err
	}
	var have []string
	for _, e := range all {
		have = append(have, e.Name)
	}
	for _, name := range names {
		if !slices.Contains(have, name) {
			return a.sh.missingFrom("environment", name, "kubectl get environments", have)
		}
	}
	return nil
}

// place makes the Releases, once the platform has taken each of them for a try, prints them, and waits for
// them where that was asked for.
func (a *asking) place(ctx context.Context, cmd *cobra.Command, platform releases, wanted []fleetv1.Release) error {
	by, err := platform.caller(ctx)
	if err != nil {
		return err
	}
	for i := range wanted {
		wanted[i].GenerateName, wanted[i].Spec.RequestedBy, wanted[i].Spec.Message = wanted[i].Spec.Service+"-", by, a.message
		if err := platform.Create(ctx, wanted[i].DeepCopy(), kube.DryRunAll); err != nil {
			return a.refused(ctx, platform, &wanted[i], err)
		}
	}
	for i := range wanted {
		if err := platform.Create(ctx, &wanted[i]); err != nil {
			return a.refused(ctx, platform, &wanted[i], err)
		}
		done(cmd.ErrOrStderr(), "%s asks for %s in %s", releaseName(&wanted[i]), wanted[i].Spec.Artifact, wanted[i].Spec.Environment)
	}
	if a.wait {
		w := waiter{sh: a.sh, platform: platform, limit: a.limit}
		ended, err := w.wait(cmd.Context(), cmd.ErrOrStderr(), wanted)
		if printed := a.print(cmd, ended); err == nil {
			err = printed
		}
		return err
	}
	hint(cmd.ErrOrStderr(), "how it goes: %s status %s", a.sh.name, serviceID{wanted[0].Namespace, wanted[0].Spec.Service})
	return a.print(cmd, wanted)
}

func (a *asking) print(cmd *cobra.Command, items []fleetv1.Release) error {
	if err := a.out.print(cmd.OutOrStdout(), a.sh, releaseDocument(a.sh, items)); err != nil {
		return fmt.Errorf("print releases: %w", err)
	}
	return nil
}

// refused explains why the platform does not take a Release.
func (a *asking) refused(ctx context.Context, platform releases, r *fleetv1.Release, err error) error {
	service := serviceID{r.Namespace, r.Spec.Service}
	if apierrors.IsNotFound(err) { // the namespace
		have := platform.services(ctx, service.team)
		for i, name := range have {
			have[i], _, _ = strings.Cut(name, "/")
		}
		return a.sh.missingFrom("team", service.team, "kubectl get namespaces", slices.Compact(have))
	}
	return &client.Error{Op: fmt.Sprintf("ask for %s in %s", service, r.Spec.Environment), Err: err, Fix: fixOfRelease(err, service.team)}
}

// newRelease is a Release that is to be asked for.
func newRelease(service serviceID, artifact, environment string, intent fleetv1.Intent) fleetv1.Release {
	return fleetv1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: service.team},
		Spec:       fleetv1.ReleaseSpec{Service: service.name, Artifact: artifact, Environment: environment, Intent: intent},
	}
}

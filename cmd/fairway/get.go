package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

func newGet(sh *shell, conn *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get",
		Short: "List clusters, services, episodes or what nobody owns",
		RunE: func(cmd *cobra.Command, args []string) error {
			what := strings.Join(args, " ")
			if close := near(what, []string{"clusters", "services", "episodes", "unowned"}); len(close) > 0 {
				return sh.usage("get", "there is no %q; did you mean %s?", what, close[0])
			}
			return sh.usage("get", "say what: clusters, services, episodes or unowned")
		},
	}
	cmd.AddCommand(
		newGetClusters(sh, conn, hub(conn, func(c *client.Client) clusterLister { return c })),
		newGetServices(sh, conn, hub(conn, func(c *client.Client) serviceLister { return c })),
		newGetUnowned(sh, conn, hub(conn, func(c *client.Client) unownedLister { return c })),
		newGetEpisodes(sh, conn, hub(conn, func(c *client.Client) episodeLister { return c })),
	)
	return cmd
}

// selection is the filters that lists share.
type selection struct {
	environment, cloud, team, cluster string
	statuses                          []string
}

func (s *selection) addFlags(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		switch name {
		case "environment":
			cmd.Flags().StringVarP(&s.environment, name, "e", "", "Only this environment")
		case "cloud":
			cmd.Flags().StringVar(&s.cloud, name, "", "Only this cloud, such as AWS or Azure")
		case "team":
			cmd.Flags().StringVar(&s.team, name, "", "Only what this team owns (as --namespace)")
		case "cluster":
			cmd.Flags().StringVar(&s.cluster, name, "", "Only on this cluster")
		case "status":
			cmd.Flags().StringSliceVar(&s.statuses, name, nil, "Only with these statuses: "+strings.Join(statusNames(), ", "))
			complete(cmd, name, statusNames)
		}
	}
}

func statusNames() []string {
	return []string{string(rest.Ready), string(rest.Progressing), string(rest.Suspended), string(rest.Degraded), string(rest.Unknown)}
}

// filter is the selection as the hub takes it, without the statuses; namespace is that of
// --namespace, which is a team's.
func (s *selection) filter(namespace string) client.Filter {
	return client.Filter{Cluster: s.cluster, Environment: s.environment, Cloud: s.cloud, Team: cmp.Or(s.team, namespace)}
}

// hasStatus makes the test for the statuses. The hub takes one only, so it is made here.
func (s *selection) hasStatus(sh *shell, command string) (func(rest.Status) bool, error) {
	for _, given := range s.statuses {
		if !slices.ContainsFunc(statusNames(), func(known string) bool { return strings.EqualFold(known, given) }) {
			return nil, sh.usage(command, "there is no status %q; use %s", given, strings.Join(statusNames(), ", "))
		}
	}
	return func(status rest.Status) bool {
		return len(s.statuses) == 0 || slices.ContainsFunc(s.statuses, func(given string) bool { return strings.EqualFold(given, string(status)) })
	}, nil
}

func (s *selection) narrowed() bool {
	return s.environment+s.cloud+s.team+s.cluster != "" || len(s.statuses) > 0
}

// named keeps the items that the arguments name, in the order of the list. Without arguments it
// keeps all. The error is for the first name that is not there.
func named[T any](sh *shell, kind, list string, names []string, items []T, is func(T, string) bool, name func(T) string) ([]T, error) {
	if len(names) == 0 {
		return items, nil
	}
	for _, want := range names {
		if !slices.ContainsFunc(items, func(item T) bool { return is(item, want) }) {
			have := make([]string, len(items))
			for i, item := range items {
				have[i] = name(item)
			}
			return nil, sh.missing(kind, want, list, have)
		}
	}
	return slices.DeleteFunc(items, func(item T) bool {
		return !slices.ContainsFunc(names, func(want string) bool { return is(item, want) })
	}), nil
}

// list is a get verb: how to make its document, and what to say of an empty one.
type list struct {
	sh    *shell
	out   *output
	watch bool
	load  func(context.Context) (document, error)
	empty func(stderr io.Writer)
}

func (l list) run(cmd *cobra.Command, conn *connection) error {
	if l.watch && l.out.format != formatTable && l.out.format != formatWide {
		return l.sh.usage("get "+cmd.Name(), "--watch prints tables only; for other forms: %s events -w -o json", l.sh.name)
	}
	ctx, cancel := conn.bound(cmd.Context())
	defer cancel()
	d, err := l.load(ctx)
	if err != nil {
		return err
	}
	if err := l.out.print(cmd.OutOrStdout(), l.sh, d); err != nil {
		return fmt.Errorf("print list: %w", err)
	}
	if len(d.names) == 0 && !l.watch {
		l.empty(cmd.ErrOrStderr())
	}
	if !l.watch {
		return nil
	}
	return l.follow(cmd, conn, d)
}

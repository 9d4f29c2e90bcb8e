package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

// completeWithin bounds how long a shell waits for names after Tab.
const completeWithin = 3 * time.Second

// complete offers fixed values for a flag, of several the last one.
func complete(cmd *cobra.Command, flag string, values func() []string) {
	// It fails for a flag that is not there or has a completion, which is a mistake in this program.
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return offer(values(), typed), cobra.ShellCompDirectiveNoFileComp
	}))
}

// offer is the values that go on from what is typed, after its last comma.
func offer(values []string, typed string) []string {
	done := typed[:strings.LastIndexByte(typed, ',')+1]
	var out []string
	for _, v := range values {
		if strings.HasPrefix(done+v, typed) {
			out = append(out, done+v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// completions makes every command offer what the hub knows: ids as arguments, and values of flags.
// A hub that cannot be reached offers nothing.
func completions(root *cobra.Command, conn *connection) {
	clusters := fromHub(conn, func(ctx context.Context, h *client.Client) ([]rest.Cluster, error) {
		found, err := h.Clusters(ctx, client.Filter{})
		return found.Items, err
	})
	services := fromHub(conn, func(ctx context.Context, h *client.Client) ([]rest.Service, error) {
		found, err := h.Services(ctx, client.Filter{})
		return found.Items, err
	})
	episodes := fromHub(conn, func(ctx context.Context, h *client.Client) ([]rest.Episode, error) {
		found, err := h.Episodes(ctx, client.Filter{})
		return found.Items, err
	})
	arguments := map[string]cobra.CompletionFunc{
		"get clusters":     clusters(func(c rest.Cluster) string { return c.ID }),
		"describe cluster": clusters(func(c rest.Cluster) string { return c.ID }),
		"get services":     services(serviceName),
		"artifact list":    services(serviceName),
		"get episodes":     episodes(func(e rest.Episode) string { return e.ID }),
		"episodes":         episodes(func(e rest.Episode) string { return e.ID }),
		"describe episode": episodes(func(e rest.Episode) string { return e.ID }),
	}
	flags := map[string]cobra.CompletionFunc{
		"cluster":     clusters(func(c rest.Cluster) string { return c.ID }),
		"environment": clusters(func(c rest.Cluster) string { return c.Environment }),
		"cloud":       clusters(func(c rest.Cluster) string { return c.Cloud }),
		"team":        services(func(s rest.Service) string { return s.Team }),
	}
	each(root, func(cmd *cobra.Command) {
		_, path, _ := strings.Cut(cmd.CommandPath(), root.DisplayName()+" ")
		if f, ok := arguments[path]; ok {
			cmd.ValidArgsFunction = f
		}
		for name, f := range flags {
			if _, fixed := cmd.GetFlagCompletionFunc(name); !fixed && cmd.LocalNonPersistentFlags().Lookup(name) != nil {
				cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, f))
			}
		}
	})
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		each(c, do)
	}
}

// fromHub makes completions out of one list of the hub's.
func fromHub[T any](conn *connection, load func(context.Context, *client.Client) ([]T, error)) func(func(T) string) cobra.CompletionFunc {
	return func(name func(T) string) cobra.CompletionFunc {
		return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
			defer cancel()
			h, err := conn.open(ctx)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
			}
			items, err := load(ctx, h)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, item := range items {
				if n := name(item); n != "" {
					names = append(names, n)
				}
			}
			return offer(names, typed), cobra.ShellCompDirectiveNoFileComp
		}
	}
}

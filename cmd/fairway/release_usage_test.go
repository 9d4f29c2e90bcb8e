package main

import (
	"strings"
	"testing"
)

func TestWhatCannotBeAskedForIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	t.Chdir(t.TempDir()) // no fairway.yaml is above it
	for args, want := range map[string]string{
		"release payments/ledger --env prod":                      "✗ release: say which artifact: --branch, --current-branch or --artifact, one of them\n",
		"release payments/ledger --env prod -c --branch main":     "✗ release: say which artifact: ",
		"release payments/ledger --artifact x":                    "✗ release: say where to: --env staging\n",
		"release a/b c/d --artifact x --env prod":                 "✗ release: it takes one service, not 2\n",
		"release a/b --service c/d --artifact x --env prod":       "✗ release: the argument says a/b and --service says c/d\n",
		"release a/b -n c --artifact x --env prod":                "✗ release: a/b is not of the team c, which --namespace names\n",
		"release a/b --artifact x --environment prod --wait=soon": `✗ release: invalid argument "soon" for "--wait" flag`,
		"release a/b --artifact x --env prod":                     "✗ find the platform: there is no kubeconfig\n► set KUBECONFIG",
		"promote a/b --from staging":                              "✗ promote: say where to: --to prod\n",
		"promote a/b --from prod --to prod":                       "✗ promote: --from and --to are both prod\n",
		"rollback a/b":                                            "✗ rollback: say where: --env prod\n",
		"approve":                                                 "✗ approve: it takes one argument, the release, or the service\n",
		"policy":                                                  "✗ policy: say what: list, apply, delete or simulate\n",
		"policy aply":                                             `✗ policy: there is no "aply"; did you mean apply?`,
		"policy apply":                                            "✗ policy apply: say what: auto-release or branch-restriction\n",
		"policy apply auto-release a/b --env prod":                "✗ policy apply auto-release: say which branch: --branch main\n",
		"policy apply auto-release a/b --branch main":             "✗ policy apply auto-release: say where: --env staging\n",
		"policy apply branch-restriction a/b --env prod":          "✗ policy apply branch-restriction: say which branches: --branch-regex '^main$'\n",
		"policy delete auto-release a/b":                          "✗ policy delete auto-release: say where: --env staging\n",
		"policy simulate a/b":                                     "✗ policy simulate: say which branch: --branch or --current-branch, one of them\n",
		"check artifact --env prod":                               "✗ check artifact: say what: a folder or --artifact, one of them\n",
		"check artifact . ":                                       "✗ check artifact: say against what: --env prod\n",
	} {
		if got := offline(t, args); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

func TestANameAloneIsOfTheTeamThatIsKnown(t *testing.T) {
	t.Chdir(checkout(t, map[string]string{"fairway.yaml": "service: payments/ledger\n"}))
	for name, c := range map[string]struct {
		namespace, flag string
		args            []string
		want            string // or what the error says
	}{
		"of the folder":                  {"", "", nil, "payments/ledger"},
		"of the folder's team":           {"", "cards", nil, "payments/cards"},
		"of the team of --namespace":     {"shop", "", []string{"cart"}, "shop/cart"},
		"of its own team":                {"", "", []string{"shop/cart"}, "shop/cart"},
		"of another than --namespace":    {"payments", "", []string{"shop/cart"}, "shop/cart is not of the team payments, which --namespace names"},
		"the folder's is of another one": {"shop", "", nil, "payments/ledger is not of the team shop, which --namespace names"},
		"said twice, and alike":          {"", "shop/cart", []string{"shop/cart"}, "shop/cart"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := newConnection(terminal())
			*conn.kube.Namespace = c.namespace
			got, err := conn.findID(terminal(), "release", c.flag, c.args)
			if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.String() != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

package main

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-dev/fairway/fleet/client"
)

func TestTheServiceOfAFolder(t *testing.T) {
	const here = "app/manifests" // where it is looked from
	for name, c := range map[string]struct {
		files map[string]string
		given string
		want  string // or what the error says
	}{
		"as it is given":                      {map[string]string{"fairway.yaml": "service: payments/other"}, "payments/ledger", "payments/ledger"},
		"of fairway.yaml in the folder":       {map[string]string{here + "/fairway.yaml": "service: payments/ledger\n"}, "", "payments/ledger"},
		"of fairway.yaml above it":            {map[string]string{"fairway.yaml": "service: payments/ledger\n"}, "", "payments/ledger"},
		"the nearest one counts":              {map[string]string{"fairway.yaml": "service: a/b", "app/fairway.yaml": "service: payments/ledger"}, "", "payments/ledger"},
		"fairway.yaml before shuttle.yaml":    {map[string]string{"app/shuttle.yaml": "vars: {service: a, squad: b}", "app/fairway.yaml": "service: payments/ledger"}, "", "payments/ledger"},
		"a nearer shuttle.yaml":               {map[string]string{"app/shuttle.yaml": "plan: false\nvars: {service: ledger, squad: payments}", "fairway.yaml": "service: a/b"}, "", "payments/ledger"},
		"the squad before the namespace":      {map[string]string{"shuttle.yaml": "vars: {service: ledger, namespace: a, squad: payments}"}, "", "payments/ledger"},
		"the namespace":                       {map[string]string{"shuttle.yaml": "vars: {service: ledger, namespace: payments, k8s: {namespace: a}}"}, "", "payments/ledger"},
		"the namespace among Kubernetes'":     {map[string]string{"shuttle.yaml": "vars: {service: ledger, k8s: {namespace: payments}}"}, "", "payments/ledger"},
		"a shuttle.yaml without a service":    {map[string]string{"app/shuttle.yaml": "plan: git://x\nvars: {squad: a}", "fairway.yaml": "service: payments/ledger"}, "", "payments/ledger"},
		"a shuttle.yaml without a team":       {map[string]string{"shuttle.yaml": "vars: {service: ledger}"}, "", "shuttle.yaml has vars.service and says no team: vars.squad or vars.namespace"},
		"a fairway.yaml without a service":    {map[string]string{"fairway.yaml": "kind: Kustomization"}, "", "fairway.yaml has no service"},
		"a fairway.yaml that cannot be read":  {map[string]string{"fairway.yaml": "service: [a"}, "", "read "},
		"a fairway.yaml with a name alone":    {map[string]string{"fairway.yaml": "service: ledger"}, "", `"ledger" is not <team>/<service>`},
		"given as a name alone":               {nil, "ledger", `"ledger" is not <team>/<service>`},
		"given with too many parts":           {nil, "payments/ledger/v2", `"payments/ledger/v2" is not <team>/<service>`},
		"given in capitals":                   {nil, "Payments/ledger", `"Payments/ledger" is not <team>/<service>`},
		"nothing that says it, here or above": {nil, "", "there is no fairway.yaml or shuttle.yaml in "},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{here + "/a.yaml": "a: b\n"}
			maps.Copy(files, c.files)
			team, service, err := findService(filepath.Join(checkout(t, files), here), c.given)
			if err != nil && (!strings.Contains(err.Error(), c.want) || client.Fix(err) == "") || err == nil && team+"/"+service != c.want {
				t.Errorf("%s/%s, %v; want %s", team, service, err, c.want)
			}
		})
	}
}

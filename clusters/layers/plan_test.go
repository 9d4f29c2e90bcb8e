package layers

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

func repository(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i+1 < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

func layer(name string, depends ...string) fleetv1.Layer {
	return fleetv1.Layer{Name: name, DependsOn: depends, Interval: metav1.Duration{Duration: 10 * time.Minute}, Timeout: metav1.Duration{Duration: 5 * time.Minute}}
}

func only(l fleetv1.Layer, key, value string) fleetv1.Layer {
	l.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	return l
}

// brief is a plan in words: "name folder <- dependencies".
func brief(p Plan) string {
	var lines []string
	for _, l := range p.Layers {
		line := l.Name + " " + l.Folder
		if len(l.DependsOn) > 0 {
			line += " <- " + strings.Join(l.DependsOn, ",")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestNew(t *testing.T) {
	files := repository("platform/network/base/a.yaml", "", "platform/network/aws/a.yaml", "", "platform/network/azure/a.yaml", "",
		"platform/ingress/base/a.yaml", "", "platform/mesh/aws/a.yaml", "", "platform/file/base", "not a folder")
	selector := layer("network")
	selector.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
	for name, c := range map[string]struct {
		cluster Cluster
		layers  []fleetv1.Layer
		want    string
		err     error
		says    string
	}{
		"a cloud's own folder comes before the one for all":     {Cluster{Cloud: "AWS"}, []fleetv1.Layer{layer("network"), layer("ingress", "network")}, "network platform/network/aws\ningress platform/ingress/base <- network", nil, ""},
		"another cloud gets its own":                            {Cluster{Cloud: "Azure"}, []fleetv1.Layer{layer("network")}, "network platform/network/azure", nil, ""},
		"a cloud without one gets the one for all":              {Cluster{Cloud: "GCP"}, []fleetv1.Layer{layer("network")}, "network platform/network/base", nil, ""},
		"so does a cluster whose cloud is not known":            {Cluster{}, []fleetv1.Layer{layer("network")}, "network platform/network/base", nil, ""},
		"a cloud's name cannot climb out":                       {Cluster{Cloud: "../../ingress/base"}, []fleetv1.Layer{layer("network")}, "network platform/network/base", nil, ""},
		"a layer that no folder is for is told of":              {Cluster{Cloud: "Azure"}, []fleetv1.Layer{layer("mesh")}, "", ErrFolder, "neither of platform/mesh/azure, platform/mesh/base"},
		"a file is no folder":                                   {Cluster{}, []fleetv1.Layer{layer("file")}, "", ErrFolder, "platform/file/base"},
		"a layer for others is left out, unlooked at":           {Cluster{Cloud: "Azure"}, []fleetv1.Layer{layer("network"), only(layer("mesh"), "mesh", "yes")}, "network platform/network/azure", nil, ""},
		"a selector selects by labels":                          {Cluster{Cloud: "AWS", Labels: map[string]string{"mesh": "yes"}}, []fleetv1.Layer{only(layer("mesh"), "mesh", "yes")}, "mesh platform/mesh/aws", nil, ""},
		"a dependency that is left out hands its own on":        {Cluster{Cloud: "AWS"}, []fleetv1.Layer{layer("network"), only(layer("mesh", "network"), "mesh", "yes"), layer("ingress", "mesh")}, "network platform/network/aws\ningress platform/ingress/base <- network", nil, ""},
		"dependencies that meet are named once":                 {Cluster{Cloud: "AWS"}, []fleetv1.Layer{layer("network"), only(layer("x", "network"), "a", "b"), only(layer("y", "network"), "a", "b"), layer("ingress", "y", "x", "network")}, "network platform/network/aws\ningress platform/ingress/base <- network", nil, ""},
		"no layers are a plan, too":                             {Cluster{Cloud: "AWS"}, nil, "", nil, ""},
		"a layer comes after its dependency wherever it stands": {Cluster{}, []fleetv1.Layer{layer("ingress", "network"), layer("network")}, "network platform/network/base\ningress platform/ingress/base <- network", nil, ""},
		"a dependency that nobody knows is wrong":               {Cluster{}, []fleetv1.Layer{layer("network", "x")}, "", ErrInvalid, "network: not valid: it depends on x"},
		"layers that wait in a circle are wrong":                {Cluster{}, []fleetv1.Layer{layer("network", "mesh"), layer("ingress", "network"), layer("mesh", "ingress")}, "", ErrInvalid, "wait for each other"},
		"a layer that depends on itself is wrong":               {Cluster{}, []fleetv1.Layer{layer("network", "network")}, "", ErrInvalid, "wait for each other"},
		"a layer that stands there twice is wrong":              {Cluster{}, []fleetv1.Layer{layer("network"), layer("network")}, "", ErrInvalid, "twice"},
		"a selector that cannot be read is wrong":               {Cluster{}, []fleetv1.Layer{selector}, "", ErrInvalid, "clusterSelector"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := New(c.cluster, c.layers, files)
			if !errors.Is(err, c.err) || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, not %v that says %q", err, c.err, c.says)
			}
			if diff := cmp.Diff(c.want, brief(plan)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestFile(t *testing.T) {
	files := repository("platform/network/aws/a.yaml", "", "platform/ingress/base/a.yaml", "", "clusters/prod-aws-eu1/x.yaml", "")
	plan, err := New(Cluster{ID: "prod-aws-eu1", Cloud: "AWS"}, []fleetv1.Layer{layer("network"), layer("ingress", "network")}, files)
	if err != nil {
		t.Fatal(err)
	}
	have, err := plan.File()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/fairway.yaml"
	if *update {
		if err := os.WriteFile(golden, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"clusters/prod-aws-eu1", "platform/network/aws", "platform/ingress/base"}, plan.Folders(files)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"network", "ingress"}, plan.Names()); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestStateOf(t *testing.T) {
	plan, err := New(Cluster{ID: "a"}, []fleetv1.Layer{layer("network")}, repository("platform/network/base/a.yaml", ""))
	if err != nil {
		t.Fatal(err)
	}
	content, err := plan.File()
	if err != nil {
		t.Fatal(err)
	}
	none, err := Plan{ClusterID: "a"}.File()
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for name, c := range map[string]struct {
		content string
		want    State
	}{
		"what Fairway wrote is Fairway's":            {text, Ours},
		"so is a file without layers":                {string(none), Ours},
		"a line more is an edit":                     {text + "# mine\n", Edited},
		"a line less is an edit":                     {strings.Replace(text, "  wait: true\n", "", 1), Edited},
		"another checksum is an edit":                {strings.Replace(text, "sha256: ", "sha256: 0", 1), Edited},
		"a file of somebody else's is foreign":       {"apiVersion: v1\nkind: ConfigMap\n\n\n", Foreign},
		"an empty file is foreign":                   {"", Foreign},
		"a file that lost its first line is foreign": {text[strings.Index(text, "\n")+1:], Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			if have := StateOf([]byte(c.content)); have != c.want {
				t.Errorf("%d, not %d", have, c.want)
			}
		})
	}
	files := repository(Path("a"), text, "clusters/b/fairway.yaml/x", "")
	if _, state, err := Read(files, "a"); state != Ours || err != nil {
		t.Errorf("%d, %v", state, err)
	}
	if _, state, err := Read(files, "c"); state != Absent || err != nil {
		t.Errorf("%d, %v", state, err)
	}
	if _, _, err := Read(files, "b"); err == nil {
		t.Error("a folder in its place is read")
	}
}

func TestIncluded(t *testing.T) {
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  bool
	}{
		"a folder without a kustomization file takes in all":                            {repository("clusters/a/x.yaml", ""), true},
		"a folder that is not there yet will":                                           {repository(), true},
		"a kustomization file that lists it takes it in":                                {repository("clusters/a/kustomization.yaml", "resources: [x.yaml, ./fairway.yaml]"), true},
		"a kustomization file that does not leaves it out":                              {repository("clusters/a/kustomization.yaml", "resources: [x.yaml]"), false},
		"whatever it is called":                                                         {repository("clusters/a/Kustomization", "resources: [x.yaml]"), false},
		"one that cannot be read leaves it out, and is told of as a problem of its own": {repository("clusters/a/kustomization.yml", "{"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if have, err := Included(c.files, "a", FileName); have != c.want || err != nil {
				t.Errorf("%t, %v", have, err)
			}
		})
	}
}

func TestAFileInAFolderIsIncluded(t *testing.T) {
	top := func(content string, more ...string) fstest.MapFS {
		return repository(append([]string{"clusters/a/kustomization.yaml", content}, more...)...)
	}
	in := func(content string) []string { return []string{"clusters/a/team/kustomization.yaml", content} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  bool
	}{
		"without kustomization files all is taken in":                    {repository(), true},
		"a kustomization file that lists the file takes it in":           {top("resources: [team/app.yaml]"), true},
		"one that lists another leaves it out":                           {top("resources: [team/other.yaml, fairway.yaml]"), false},
		"one that lists its folder takes in what the folder lists":       {top("resources: [./team/]", in("resources: [app.yaml]")...), true},
		"and leaves out what the folder does not list":                   {top("resources: [team]", in("resources: [other.yaml]")...), false},
		"a folder that is listed and has no kustomization file is wrong": {top("resources: [team]"), false},
		"a kustomization file in the folder alone decides, too":          {repository(in("resources: [other.yaml]")...), false},
		"if it lists the file, it is taken in":                           {repository(in("resources: [app.yaml]")...), true},
		"a folder whose name only begins like it is another":             {top("resources: [tea]"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if have, err := Included(c.files, "a", "team/app.yaml"); have != c.want || err != nil {
				t.Errorf("%t, %v", have, err)
			}
		})
	}
}

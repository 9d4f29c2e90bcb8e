package pointers

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// with is a repository with more files: path, content, path, content.
func with(repository fstest.MapFS, files ...string) fstest.MapFS {
	out := maps.Clone(repository)
	if out == nil {
		out = fstest.MapFS{}
	}
	for i := 0; i+1 < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

func place(p Pointer) string { return PointerPath(p.Cluster, p.Team, p.Service) }

// rendered is a repository with pointers.
func rendered(all ...Pointer) fstest.MapFS {
	out := fstest.MapFS{}
	for _, p := range all {
		out = with(out, place(p), string(Render(p)))
	}
	return out
}

func on(cluster string, p Pointer) Pointer {
	p.Cluster = cluster
	return p
}

func TestRead(t *testing.T) {
	text := string(Render(ledger()))
	names := Pointer{Cluster: "prod-aws-eu1", Team: "payments", Service: "ledger"}
	other := ledger()
	other.Artifact = "main-77aa001-1c2d"
	unknown := ledger()
	unknown.Artifact = ""
	for name, c := range map[string]struct {
		content string
		want    Pointer
		state   State
	}{
		"no file is no pointer":                                  {"", names, Absent},
		"one as it was written":                                  {text, ledger(), Ours},
		"one with another path runs what the path leads to":      {strings.Replace(text, "ledger/main-4f1c9d2-a81b", "ledger/main-77aa001-1c2d", 1), other, Edited},
		"one with another artifact everywhere is edited":         {strings.ReplaceAll(text, "main-4f1c9d2-a81b", "main-77aa001-1c2d"), other, Edited},
		"one that leads to another service's artifact":           {strings.Replace(text, "payments/ledger/main", "payments/cards/main", 1), unknown, Edited},
		"one that leads out of the artifacts":                    {strings.Replace(text, "/main-4f1c9d2-a81b #", "/../../x #", 1), unknown, Edited},
		"one with another timeout":                               {strings.Replace(text, "2m0s", "9m0s", 1), ledger(), Edited},
		"one with a line more":                                   {text + "  suspend: true\n", ledger(), Edited},
		"one with two seals":                                     {text + "  path: ./x # seal: 0123456789abcdef\n", unknown, Edited},
		"one with other line ends":                               {strings.ReplaceAll(text, "\n", "\r\n"), ledger(), Edited},
		"one that is cut off":                                    {text[:200], names, Edited},
		"one of another cluster, copied":                         {string(Render(on("prod-azure-eu1", ledger()))), ledger(), Edited},
		"one whose first line was taken away":                    {text[strings.Index(text, "\n")+1:], names, Foreign},
		"somebody's own Kustomization":                           {"apiVersion: kustomize.toolkit.fluxcd.io/v1\n", names, Foreign},
		"an empty file":                                          {"\n", names, Foreign},
		"one that an earlier version of Fairway wrote stays its": {resealed(strings.Replace(text, "2m0s", "9m0s", 1)), ledger(), Ours},
	} {
		t.Run(name, func(t *testing.T) {
			repository := fstest.MapFS{}
			if c.content != "" {
				repository = with(repository, place(ledger()), c.content)
			}
			got, state, err := Read(repository, "prod-aws-eu1", "payments", "ledger")
			if diff := cmp.Diff(c.want, got); diff != "" || state != c.state || err != nil {
				t.Errorf("%s, not %s, %v (-want +got):\n%s", state, c.state, err, diff)
			}
		})
	}
}

// resealed is a text as a version of Fairway that renders it would seal it.
func resealed(text string) string {
	before, after, _ := strings.Cut(text, sealMark)
	return string(ledger().seal(before + after[strings.Index(after, "\n"):]))
}

func TestWhatCannotBeReadIsNoPointer(t *testing.T) {
	repository := fstest.MapFS{place(ledger()): {Mode: fs.ModeDir}}
	if _, state, err := Read(repository, "prod-aws-eu1", "payments", "ledger"); err == nil || !strings.Contains(err.Error(), place(ledger())) {
		t.Errorf("%s, %v", state, err)
	}
}

func TestIncluded(t *testing.T) {
	for name, c := range map[string]struct {
		kustomization string
		want          bool
	}{
		"without a kustomization file it is taken in": {"", true},
		"one that lists it takes it in":               {"resources: [fairway.yaml, payments/ledger.yaml]", true},
		"one that does not leaves it out":             {"resources: [fairway.yaml]", false},
	} {
		t.Run(name, func(t *testing.T) {
			repository := rendered(ledger())
			if c.kustomization != "" {
				repository = with(repository, "clusters/prod-aws-eu1/kustomization.yaml", c.kustomization)
			}
			if got, err := Included(repository, "prod-aws-eu1", "payments", "ledger"); got != c.want || err != nil {
				t.Errorf("%t, %v", got, err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	text := string(Render(ledger()))
	f.Add([]byte(text))
	f.Add([]byte(strings.Replace(text, "labels: *labels", "labels: *other", 1)))
	f.Add([]byte(header + "\nspec: {path: ./releases/payments/ledger/x}\n"))
	f.Add([]byte(header + "\na: &a [*a, *a]\n"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		repository := fstest.MapFS{place(ledger()): {Data: content}}
		p, state, err := Read(repository, "prod-aws-eu1", "payments", "ledger")
		if err != nil || state == Absent {
			t.Fatalf("%s, %v", state, err)
		}
		if state == Ours && p.check(p.Cluster) != nil {
			t.Errorf("ours is %+v: %v", p, p.check(p.Cluster))
		}
		if p.Artifact != "" && !artifact.MatchString(p.Artifact) {
			t.Errorf("artifact %q", p.Artifact)
		}
		// Nothing that is read makes an edit of anything else than this file, or lets it pass for what it is not.
		edits, err := Remove(repository, "payments", "ledger", []string{"prod-aws-eu1"}, true)
		if (err == nil) != (state != Foreign) || len(edits) > 0 && edits[0].Path != place(ledger()) {
			t.Errorf("%v, %v", edits, err)
		}
	})
}

func TestListPointers(t *testing.T) {
	cards := ledger()
	cards.Service = "cards"
	search := Pointer{Cluster: "dev", Team: "web", Service: "search", Artifact: "x-1"}
	repository := with(rendered(ledger(), on("dev", ledger()), cards, search),
		"clusters/dev/fairway.yaml", "", "clusters/dev/web/kustomization.yaml", "", "clusters/dev/web/deep/x.yaml", "",
		"clusters/dev/web/README.md", "", "clusters/Not_A_Cluster/web/search.yaml", "", "clusters/dev/web/own.yaml", "kind: Own\n",
		place(cards), string(Render(cards))+"# edited\n")
	repository["clusters/dev/web/link.yaml"] = &fstest.MapFile{Mode: fs.ModeSymlink}
	own := Pointer{Cluster: "dev", Team: "web", Service: "own"}
	for name, c := range map[string]struct {
		of   Filter
		want []Listed
	}{
		"all":                {Filter{}, []Listed{{on("dev", ledger()), Ours}, {own, Foreign}, {search, Ours}, {cards, Edited}, {ledger(), Ours}}},
		"of a service":       {Filter{Team: "payments", Service: "ledger"}, []Listed{{on("dev", ledger()), Ours}, {ledger(), Ours}}},
		"of a cluster":       {Filter{Cluster: "prod-aws-eu1"}, []Listed{{cards, Edited}, {ledger(), Ours}}},
		"of a team":          {Filter{Team: "web"}, []Listed{{own, Foreign}, {search, Ours}}},
		"of what is nowhere": {Filter{Team: "web", Service: "nothing"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ListPointers(repository, c.of)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	if got, err := ListPointers(fstest.MapFS{}, Filter{}); got != nil || err != nil {
		t.Errorf("of an empty repository: %v, %v", got, err)
	}
}

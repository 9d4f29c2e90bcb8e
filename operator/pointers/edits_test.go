package pointers

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func move(clusters ...string) Move {
	return Move{Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Release: "payments/ledger-7k2x9", Digest: sum,
		Clusters: clusters, Files: map[string][]byte{"app.yaml": []byte("kind: App\n"), "crd/x.yaml": []byte("kind: X\n")}}
}

// apply is a repository after edits.
func apply(repository fstest.MapFS, edits []Edit) fstest.MapFS {
	out := maps.Clone(repository)
	for _, edit := range edits {
		if delete(out, edit.Path); !edit.Delete {
			out[edit.Path] = &fstest.MapFile{Data: edit.Content}
		}
	}
	return out
}

// brief is edits in words.
func brief(edits []Edit) []string {
	var out []string
	for _, edit := range edits {
		verb := "write "
		if edit.Delete {
			verb = "delete "
		}
		out = append(out, verb+edit.Path)
	}
	return out
}

const (
	appPath  = "releases/payments/ledger/main-4f1c9d2-a81b/app.yaml"
	xPath    = "releases/payments/ledger/main-4f1c9d2-a81b/crd/x.yaml"
	awsPath  = "clusters/aws/payments/ledger.yaml"
	azurPath = "clusters/azure/payments/ledger.yaml"
)

func TestEdits(t *testing.T) {
	copied := with(nil, appPath, "kind: App\n", xPath, "kind: X\n")
	there := move("aws").pointer("aws")
	before := there
	before.Artifact = "main-0000000-0000"
	text := string(Render(there))
	for name, c := range map[string]struct {
		repository fstest.MapFS
		change     func(*Move)
		want       []string
		err        error
		says       string
	}{
		"the first release copies the artifact and makes pointers": {fstest.MapFS{}, nil, []string{"write " + awsPath, "write " + azurPath, "write " + appPath, "write " + xPath}, nil, ""},
		"an artifact that is there is not copied again":            {copied, nil, []string{"write " + awsPath, "write " + azurPath}, nil, ""},
		"nor need its files be given":                              {copied, func(m *Move) { m.Files = nil }, []string{"write " + awsPath, "write " + azurPath}, nil, ""},
		"a cluster that has it is left as it is":                   {with(copied, awsPath, text), nil, []string{"write " + azurPath}, nil, ""},
		"a cluster that has another moves":                         {with(copied, awsPath, string(Render(before))), nil, []string{"write " + awsPath, "write " + azurPath}, nil, ""},
		"a cluster that is named twice moves once":                 {copied, func(m *Move) { m.Clusters = []string{"aws", "aws"} }, []string{"write " + awsPath}, nil, ""},
		"another Release of the same artifact leaves its name":     {with(copied, awsPath, text), func(m *Move) { m.Clusters, m.Release = []string{"aws"}, "payments/other" }, []string{"write " + awsPath}, nil, ""},
		"no cluster only copies":                                   {fstest.MapFS{}, func(m *Move) { m.Clusters = nil }, []string{"write " + appPath, "write " + xPath}, nil, ""},

		"an artifact that is not there needs its files": {fstest.MapFS{}, func(m *Move) { m.Files = nil }, nil, ErrNoFiles, "releases/payments/ledger/main-4f1c9d2-a81b"},
		"an artifact never changes":                     {with(copied, appPath, "kind: Other\n"), nil, nil, ErrChanged, "main-4f1c9d2-a81b, such as app.yaml"},
		"nor does it get more files":                    {with(copied, appPath+".bak", ""), nil, nil, ErrChanged, "app.yaml.bak"},
		"nor less":                                      {with(nil, appPath, "kind: App\n"), nil, nil, ErrChanged, "crd/x.yaml"},
		"unless it is to be mended":                     {with(copied, appPath, "x", appPath+".bak", "x"), func(m *Move) { m.Mend, m.Clusters = true, nil }, []string{"write " + appPath, "delete " + appPath + ".bak"}, nil, ""},

		"a hand edit is left alone, and nothing moves":      {with(copied, awsPath, text+"#\n"), nil, nil, ErrEdited, awsPath + " was edited by hand"},
		"also one that moved the cluster":                   {with(copied, awsPath, strings.ReplaceAll(text, "main-4f1c9d2", "main-0000000")), nil, nil, ErrEdited, awsPath},
		"every one of them is named":                        {with(copied, awsPath, text+"#\n", azurPath, text+"#\n"), nil, nil, ErrEdited, azurPath + " was edited by hand"},
		"unless they are to be mended":                      {with(copied, awsPath, text+"#\n"), func(m *Move) { m.Mend, m.Clusters = true, []string{"aws"} }, []string{"write " + awsPath}, nil, ""},
		"somebody else's file is left alone in any case":    {with(copied, awsPath, "kind: Own\n"), func(m *Move) { m.Mend = true }, nil, ErrEdited, awsPath + " was not written by Fairway"},
		"what one cluster has says nothing about another":   {with(copied, "clusters/other/payments/ledger.yaml", "kind: Own\n"), func(m *Move) { m.Clusters = []string{"aws"} }, []string{"write " + awsPath}, nil, ""},
		"a name that climbs out is refused":                 {fstest.MapFS{}, func(m *Move) { m.Clusters = []string{"../.."} }, nil, ErrName, "cluster"},
		"an artifact id that climbs out is refused":         {fstest.MapFS{}, func(m *Move) { m.Artifact = "../x" }, nil, ErrName, "artifact"},
		"a file that climbs out is refused":                 {fstest.MapFS{}, func(m *Move) { m.Files = map[string][]byte{"../x": nil} }, nil, ErrPath, "../x"},
		"a file without a name is refused":                  {fstest.MapFS{}, func(m *Move) { m.Files = map[string][]byte{".": nil} }, nil, ErrPath, `"."`},
		"an artifact of nothing is refused":                 {fstest.MapFS{}, func(m *Move) { m.Files = map[string][]byte{} }, nil, ErrPath, "none"},
		"a service that cannot be is refused, even nowhere": {fstest.MapFS{}, func(m *Move) { m.Clusters, m.Service = nil, "kustomization" }, nil, ErrName, "kustomization"},
	} {
		t.Run(name, func(t *testing.T) {
			m := move("azure", "aws")
			if c.change != nil {
				c.change(&m)
			}
			got, err := Edits(c.repository, m)
			if diff := cmp.Diff(c.want, brief(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, not %v that says %q", err, c.err, c.says)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	p := move().pointer("aws")
	there := rendered(p)
	edited := with(there, awsPath, string(Render(p))+"#\n")
	for name, c := range map[string]struct {
		repository fstest.MapFS
		mend       bool
		want       []string
		err        error
	}{
		"a pointer goes":                              {there, false, []string{"delete " + awsPath}, nil},
		"one that is not there is gone":               {fstest.MapFS{}, false, nil, nil},
		"one that was edited stays":                   {edited, false, nil, ErrEdited},
		"unless it is to be mended":                   {edited, true, []string{"delete " + awsPath}, nil},
		"somebody else's file stays in any case":      {with(nil, awsPath, "kind: Own\n"), true, nil, ErrEdited},
		"with one that must stay, the others do, too": {with(there, azurPath, "kind: Own\n"), false, nil, ErrEdited},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Remove(c.repository, "payments", "ledger", []string{"azure", "aws", "aws"}, c.mend)
			if diff := cmp.Diff(c.want, brief(got)); diff != "" || !errors.Is(err, c.err) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	if _, err := Remove(there, "payments", "..", nil, false); !errors.Is(err, ErrName) {
		t.Errorf("%v", err)
	}
}

// drawRepository is one that others write to, too, with pointers and artifacts of few services on few clusters.
func drawRepository(t *rapid.T) fstest.MapFS {
	out := with(nil, "README.md", "x", "platform/ingress/base/x.yaml", "x", "clusters/aws/fairway.yaml", "x")
	for i := range rapid.IntRange(0, 6).Draw(t, "files") {
		p := move().pointer(rapid.SampledFrom([]string{"aws", "azure", "other"}).Draw(t, "cluster"))
		p.Service = rapid.SampledFrom([]string{"ledger", "cards"}).Draw(t, "service")
		p.Artifact = rapid.SampledFrom([]string{"main-4f1c9d2-a81b", "a", "b"}).Draw(t, "artifact")
		text := string(Render(p)) + rapid.SampledFrom([]string{"", "", "", "# edited\n"}).Draw(t, "edit")
		out = with(out, place(p), text, ArtifactFolder(p.Team, p.Service, p.Artifact)+fmt.Sprintf("/%d.yaml", i%2), "x")
	}
	return out
}

func TestEditsTwiceAreEditsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		repository := drawRepository(t)
		m := move(rapid.SliceOf(rapid.SampledFrom([]string{"aws", "azure", "new"})).Draw(t, "clusters")...)
		m.Artifact = rapid.SampledFrom([]string{"main-4f1c9d2-a81b", "a", "new"}).Draw(t, "artifact")
		m.Mend = rapid.Bool().Draw(t, "mend")
		edits, err := Edits(repository, m)
		if err != nil {
			if m.Mend || len(edits) > 0 {
				t.Fatalf("%v, %v", brief(edits), err)
			}
			return
		}
		after := apply(repository, edits)
		if again, err := Edits(after, m); len(again) > 0 || err != nil {
			t.Fatalf("again: %v, %v", brief(again), err)
		}
		for _, cluster := range m.Clusters {
			got, state, err := Read(after, cluster, m.Team, m.Service)
			if diff := cmp.Diff(m.pointer(cluster), got); diff != "" || state != Ours || err != nil {
				t.Fatalf("%s, %v (-want +got):\n%s", state, err, diff)
			}
		}
		for name, content := range m.Files {
			if got := after[m.folder()+"/"+name]; got == nil || string(got.Data) != string(content) {
				t.Fatalf("%s is %v", name, got)
			}
		}
		untouched(t, repository, after, m)
	})
}

// untouched holds what a move may not change against what was there.
func untouched(t *rapid.T, before, after fstest.MapFS, m Move) {
	mine := func(path string) bool {
		for _, cluster := range m.Clusters {
			if path == PointerPath(cluster, m.Team, m.Service) {
				return true
			}
		}
		return strings.HasPrefix(path, m.folder()+"/")
	}
	for _, files := range []fstest.MapFS{before, after} {
		for path := range files {
			if !mine(path) && (before[path] == nil || after[path] == nil || string(before[path].Data) != string(after[path].Data)) {
				t.Fatalf("%s changed", path)
			}
		}
	}
}

func TestGarbage(t *testing.T) {
	at := func(cluster, id string) Pointer {
		p := move().pointer(cluster)
		p.Artifact = id
		return p
	}
	folder := func(id string) string { return ArtifactFolder("payments", "ledger", id) }
	repository := with(rendered(at("aws", "used-1"), at("azure", "used-2")), folder("used-1")+"/x", "", folder("used-2")+"/x", "",
		folder("old-1")+"/x", "", folder("old-1")+"/y/z", "", folder("old-2")+"/x", "", folder("edited")+"/x", "", folder("foreign")+"/x", "",
		"clusters/other/payments/ledger.yaml", header+"\n path: ./"+folder("edited")+"\n",
		"clusters/Third_1/payments/ledger.yaml", "- "+folder("foreign")+"\n",
		"releases/payments/cards/old-1/x", "", "releases/payments/ledger/README.md", "")
	repository[folder("linked")+"/x"] = &fstest.MapFile{Mode: fs.ModeSymlink}
	for name, c := range map[string]struct {
		keep []string
		want []string
	}{
		"what no pointer uses goes":   {nil, []string{"delete " + folder("old-1") + "/x", "delete " + folder("old-1") + "/y/z", "delete " + folder("old-2") + "/x"}},
		"but for what is to be kept":  {[]string{"old-1", "unknown"}, []string{"delete " + folder("old-2") + "/x"}},
		"nothing goes if all is kept": {[]string{"old-2", "old-1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Garbage(repository, "payments", "ledger", c.keep)
			if diff := cmp.Diff(c.want, brief(got)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	unreadable := with(repository)
	unreadable["clusters/fourth/payments/ledger.yaml"] = &fstest.MapFile{Mode: fs.ModeDir}
	if got, err := Garbage(unreadable, "payments", "ledger", nil); err == nil || got != nil {
		t.Errorf("with a pointer that cannot be read: %v, %v", brief(got), err)
	}
	if got, err := Garbage(fstest.MapFS{}, "payments", "ledger", nil); got != nil || err != nil {
		t.Errorf("in an empty repository: %v, %v", got, err)
	}
}

// Whatever is swept: every pointer still leads to its artifact, and a move to what is kept needs no files.
func TestGarbageIsNothingThatIsUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		repository := drawRepository(t)
		keep := rapid.SliceOf(rapid.SampledFrom([]string{"main-4f1c9d2-a81b", "a", "b"})).Draw(t, "keep")
		edits, err := Garbage(repository, "payments", "ledger", keep)
		if err != nil {
			t.Fatal(err)
		}
		after := apply(repository, edits)
		all, err := ListPointers(after, Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range all {
			if paths, _, err := tree(after, ArtifactFolder(each.Team, each.Service, each.Artifact)); err != nil || len(paths) == 0 {
				t.Fatalf("%+v leads nowhere, %v", each, err)
			}
		}
		for _, id := range keep {
			before, _, _ := tree(repository, ArtifactFolder("payments", "ledger", id))
			kept, _, err := tree(after, ArtifactFolder("payments", "ledger", id))
			if diff := cmp.Diff(before, kept); diff != "" || err != nil {
				t.Fatalf("%s is not kept (-want +got):\n%s", id, diff)
			}
		}
		if again, err := Garbage(after, "payments", "ledger", keep); len(again) > 0 || err != nil {
			t.Fatalf("again: %v, %v", brief(again), err)
		}
	})
}

package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
)

func TestWhatWasPushedIsFoundAndPulled(t *testing.T) {
	s, _ := start(t)
	files := map[string]string{
		"kustomization.yaml":  "resources: [app/deployment.yaml]\nconfigMapGenerator:\n- name: ledger\n  files: [config=app/ledger.conf]\n",
		"app/deployment.yaml": deployment,
		"app/ledger.conf":     "\x00any bytes\xff",
	}
	pushed := push(t, s, files, of("feature/Fast_Lane"))
	want := Artifact{
		ID: "feature-fast-lane-4f1c9d2-" + pushed.Content[7:11], Digest: pushed.Digest, Content: pushed.Content, Metadata: of("feature/Fast_Lane"),
	}
	same(t, Pushed{Artifact: want, New: true, Files: 3, Size: pushed.Size}, pushed)
	found, err := s.Resolve(t.Context(), "payments", "ledger", want.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, found)
	pulled, err := s.Pull(t.Context(), "payments", "ledger", found)
	if err != nil {
		t.Fatal(err)
	}
	same(t, bytesOf(files), pulled)
}

func TestTheSameGivesTheSameDigest(t *testing.T) {
	files := map[string]string{"a.yaml": deployment, "b/c.yaml": strings.ReplaceAll(deployment, "ledger", "worker")}
	one, _ := start(t)
	other, _ := start(t)
	first, second := push(t, one, files, at(0)), push(t, other, files, at(0))
	same(t, first, second)
	if later := push(t, one, map[string]string{"a.yaml": deployment}, at(0)); later.Digest == first.Digest || later.ID == first.ID {
		t.Errorf("other files have the same digest or id: %+v", later)
	}
}

func TestPushingTheSameAgainChangesNothing(t *testing.T) {
	s, r := start(t)
	files := map[string]string{"a.yaml": deployment}
	first := push(t, s, files, at(0))
	r.Asked()
	again := at(30)
	again.CI, again.Author = "https://ci.example.com/runs/18", "Somebody Else"
	second := push(t, s, files, again)
	want := first
	want.New = false
	same(t, want, second)
	for _, request := range r.Asked() {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("it wrote: %s", request)
		}
	}
}

func TestAnIdIsNeverGivenToSomethingElse(t *testing.T) {
	files := map[string]string{"a.yaml": deployment}
	others := of("main")
	others.Commit = commit[:8] + strings.Repeat("0", 32)
	for name, taken := range map[string]func(*testing.T, *Store, *ocitest.Registry){
		"by another branch that reads the same": func(t *testing.T, s *Store, _ *ocitest.Registry) { push(t, s, files, of("Main")) },
		"by another commit that begins so":      func(t *testing.T, s *Store, _ *ocitest.Registry) { push(t, s, files, others) },
		"by other content": func(t *testing.T, _ *Store, r *ocitest.Registry) {
			f := forge(t, files)
			content := f.annotations[annotationContent]
			f.say(annotationContent, content[:11]+strings.Repeat("0", 60)).push(t, r)
		},
		"by what is no artifact": func(t *testing.T, _ *Store, r *ocitest.Registry) {
			forge(t, files).say(annotationService, "payments/other").push(t, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := start(t)
			taken(t, s, r)
			_, err := s.Push(t.Context(), "payments", "ledger", folder(files), of("main"))
			if !errors.Is(err, ErrTaken) {
				t.Errorf("%v is not %v", err, ErrTaken)
			}
		})
	}
}

func TestListIsNewestFirst(t *testing.T) {
	s, r := start(t)
	var want []Artifact
	for i := range 5 {
		pushed := push(t, s, map[string]string{"a.yaml": strings.ReplaceAll(deployment, "2", fmt.Sprint(i))}, at(i*7%5))
		want = append(want, pushed.Artifact)
	}
	want = []Artifact{want[2], want[4], want[1], want[3], want[0]} // made 0, 2, 4, 1, 3 minutes later
	others := map[string]string{"b.yaml": deployment}
	forge(t, others).say(annotationService, "payments/other").push(t, r)
	tagged := forge(t, others)
	tagged.tag = "latest"
	tagged.push(t, r)

	got, err := s.List(t.Context(), "payments", "ledger", 0)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, got)
	r.Asked()
	got, err = s.List(t.Context(), "payments", "ledger", 2)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want[:2], got)
	if asked := r.Asked(); len(asked) != 2 { // the tags, and the one that could not be read
		t.Errorf("what is known is read again: %v", asked)
	}
}

func TestErrorsOfTheRegistrySayWhatMendsThem(t *testing.T) {
	files := folder(map[string]string{"a.yaml": deployment})
	for name, c := range map[string]struct {
		registry *ocitest.Registry
		find     error
		push     error
	}{
		"nobody answers":                  {ocitest.Dead(t), ErrUnreachable, ErrUnreachable},
		"a login is wanted":               {ocitest.Refusing(t, http.StatusUnauthorized), ErrUnauthorized, ErrUnauthorized},
		"it is forbidden":                 {ocitest.Refusing(t, http.StatusForbidden), ErrUnauthorized, ErrUnauthorized},
		"the registry is broken":          {ocitest.Refusing(t, http.StatusTeapot), ErrUnreachable, ErrUnreachable},
		"nothing was pushed yet":          {ocitest.Start(t), ErrNotFound, nil},
		"a registry that makes no folder": {ocitest.Refusing(t, http.StatusNotFound), ErrNotFound, ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, c.registry.URL("artifacts"), Auth{})
			_, list := s.List(t.Context(), "payments", "ledger", 0)
			_, resolve := s.Resolve(t.Context(), "payments", "ledger", "main-4f1c9d2-a81b")
			_, pull := s.Pull(t.Context(), "payments", "ledger", Artifact{ID: "main-4f1c9d2-a81b", Digest: "sha256:" + strings.Repeat("0", 64)})
			for op, err := range map[string]error{"list": list, "resolve": resolve, "pull": pull} {
				if !errors.Is(err, c.find) {
					t.Errorf("%s: %v is not %v", op, err, c.find)
				}
				says(t, err, "payments/ledger", c.registry.URL("artifacts"))
			}
			if _, err := s.Push(t.Context(), "payments", "ledger", files, of("main")); !errors.Is(err, c.push) {
				t.Errorf("push: %v is not %v", err, c.push)
			}
		})
	}
}

func TestACallerWhoGoesAwayIsNoFaultOfTheRegistry(t *testing.T) {
	s, _ := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(ctx, "payments", "ledger", 0); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestAnIdThatIsNoneIsNotFound(t *testing.T) {
	s, r := start(t)
	for _, id := range []string{"", "latest", "main-4f1c9d2", "../x-4f1c9d2-a81b", "Main-4f1c9d2-a81b", strings.Repeat("a", 60) + "-4f1c9d2-a81b"} {
		if _, err := s.Resolve(t.Context(), "payments", "ledger", id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if asked := r.Asked(); len(asked) > 0 {
		t.Errorf("the registry was asked: %v", asked)
	}
}

func TestNamesOfServices(t *testing.T) {
	s, _ := start(t)
	for _, name := range []string{"/ledger", "payments/", "Payments/ledger", "payments/ledger.v2", "../ledger", "payments/le/dger",
		"payments/" + strings.Repeat("a", 55)} {
		team, service, _ := strings.Cut(name, "/")
		if _, err := s.List(t.Context(), team, service, 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURLsThatAreNone(t *testing.T) {
	for _, url := range []string{"", "registry.example.com/artifacts", "https://registry.example.com", "oci://", "oci://registry.example.com/a:v1", "oci://registry.example.com/A"} {
		if _, err := New(url, Auth{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{"oci://registry.example.com", "oci://registry.example.com:5000/a/b/"} {
		if _, err := New(url, Auth{}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestMetadataThatIsRefused(t *testing.T) {
	s, r := start(t)
	for name, change := range map[string]func(*Metadata){
		"no branch":                 func(m *Metadata) { m.Branch = "" },
		"a branch that is none":     func(m *Metadata) { m.Branch = "my branch" },
		"a branch of two lines":     func(m *Metadata) { m.Branch = "main\nx" },
		"no commit":                 func(m *Metadata) { m.Commit = "" },
		"a short commit":            func(m *Metadata) { m.Commit = "4f1c9d2" },
		"a commit that is none":     func(m *Metadata) { m.Commit = strings.Repeat("g", 40) },
		"no time":                   func(m *Metadata) { m.Created = nil },
		"an author with an escape":  func(m *Metadata) { m.Author = "\x1b[31mAda" },
		"an author that is a novel": func(m *Metadata) { m.Author = strings.Repeat("a", maxText+1) },
		"a link that runs":          func(m *Metadata) { m.CI = "javascript:alert(1)" },
	} {
		t.Run(name, func(t *testing.T) {
			m := of("main")
			change(&m)
			if _, err := s.Push(t.Context(), "payments", "ledger", folder(map[string]string{"a.yaml": deployment}), m); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v is not %v", err, ErrInvalid)
			}
		})
	}
	if asked := r.Asked(); len(asked) > 0 {
		t.Errorf("the registry was asked: %v", asked)
	}
}

func TestPasswordsInAddressesAreLeftOut(t *testing.T) {
	s, _ := start(t)
	m := of("main")
	m.Repository, m.CI = "https://ci-token:s3cret@git.example.com/payments/ledger.git", "https://s3cret@ci.example.com/17"
	m.Created = &metav1.Time{Time: time.Date(2026, 11, 22, 9, 17, 0, 999, time.FixedZone("", 3600))}
	got := push(t, s, map[string]string{"a.yaml": deployment}, m)
	want := of("main")
	want.Repository, want.CI = "https://git.example.com/payments/ledger.git", "https://ci.example.com/17"
	same(t, want, got.Metadata)
	for address, want := range map[string]string{
		"git@git.example.com:payments/ledger.git":          "git@git.example.com:payments/ledger.git",
		"ssh://git:s3cret@git.example.com/payments/ledger": "ssh://git@git.example.com/payments/ledger",
		"https://git.example.com/payments/ledger":          "https://git.example.com/payments/ledger",
	} {
		same(t, want, withoutCredentials(address))
	}
}

// large is a folder with a file that cannot be read: it says that it has 100 MB.
type large struct{ fstest.MapFS }

func (l large) Open(name string) (fs.File, error) {
	if name == "large.bin" {
		panic("it was opened")
	}
	return l.MapFS.Open(name)
}

func (l large) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := l.MapFS.ReadDir(name)
	return append(entries, fs.FileInfoToDirEntry(sized{})), err
}

type sized struct{ fs.FileInfo }

func (sized) Name() string      { return "large.bin" }
func (sized) Size() int64       { return 100_000_000 }
func (sized) Mode() fs.FileMode { return 0o644 }
func (sized) IsDir() bool       { return false }

func TestWhatIsTooLargeIsNotReadToBePushed(t *testing.T) {
	many, much := fstest.MapFS{}, fstest.MapFS{}
	for i := range MaxFiles + 1 {
		many[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte("a")}
	}
	for i := range MaxTotal/MaxFile + 1 {
		much[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: make([]byte, MaxFile)}
	}
	for name, files := range map[string]fs.FS{
		"100 MB in one file": large{folder(map[string]string{"a.yaml": deployment})},
		"100 MB in many":     much,
		"too many files":     many,
	} {
		t.Run(name, func(t *testing.T) {
			s, r := start(t)
			if _, err := s.Push(t.Context(), "payments", "ledger", files, of("main")); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v is not %v", err, ErrTooLarge)
			}
			if asked := r.Asked(); len(asked) > 0 {
				t.Errorf("the registry was asked: %v", asked)
			}
		})
	}
}

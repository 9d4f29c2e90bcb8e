package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	table := Table{
		{Prefix: "ghcr.io/fluxcd/source-controller", Binary: "/b/source"},
		{Prefix: "localhost:5000/apps", Binary: "/b/apps"},
		{Prefix: "localhost:5000/apps/web", Binary: "/b/web", Tags: []string{"1", "2"}},
	}
	for name, tc := range map[string]struct {
		ref    string
		binary string
	}{
		"a repository matches whatever its tag":            {"ghcr.io/fluxcd/source-controller:v1.9.6", "/b/source"},
		"a digest is not part of the repository":           {"ghcr.io/fluxcd/source-controller:v1@sha256:00ff", "/b/source"},
		"a longer last segment is another repository":      {"ghcr.io/fluxcd/source-controller-extra:v1", ""},
		"a registry's port is not a tag":                   {"localhost:5000/apps", "/b/apps"},
		"a prefix covers the repositories below it":        {"localhost:5000/apps/api:3", "/b/apps"},
		"the longest prefix wins":                          {"localhost:5000/apps/web:2", "/b/web"},
		"a tag that does not exist is not found":           {"localhost:5000/apps/web:typo", ""},
		"no tag means latest, which must exist as well":    {"localhost:5000/apps/web", ""},
		"an unknown repository is not found":               {"registry.example/app:1", ""},
		"the same path on another registry is not the one": {"docker.io/apps/web:1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, found := table.Find(tc.ref)
			if got.Binary != tc.binary || found != (tc.binary != "") {
				t.Errorf("Find(%q) = %q, %v, want %q", tc.ref, got.Binary, found, tc.binary)
			}
		})
	}
}

func TestArgv(t *testing.T) {
	podinfo := Image{Binary: "/cache/podinfo", Entrypoint: "/home/app/podinfo"}
	for name, tc := range map[string]struct {
		command, args, want []string
	}{
		"arguments alone go to the entry point":                {nil, []string{"--port=1"}, []string{"/home/app/podinfo", "--port=1"}},
		"a command that names the program is the program":      {[]string{"./podinfo", "--port=1"}, nil, []string{"/home/app/podinfo", "--port=1"}},
		"arguments follow the rest of the command":             {[]string{"podinfo", "-a"}, []string{"-b"}, []string{"/home/app/podinfo", "-a", "-b"}},
		"a command of another program is run as it is written": {[]string{"sh", "-c"}, []string{"exit 3"}, []string{"sh", "-c", "exit 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, podinfo.Argv(tc.command, tc.args)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadRefusesWhatItCannotRun(t *testing.T) {
	for name, text := range map[string]string{
		"a relative binary":  "- {prefix: a, binary: bin/a}",
		"a missing prefix":   "- {binary: /bin/a}",
		"an unknown field":   "- {prefix: a, binary: /bin/a, flags: {}}",
		"not a list of them": "prefix: a",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "images.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if table, err := Load(file); err == nil {
				t.Errorf("Load accepted %s: %v", text, table)
			}
		})
	}
}

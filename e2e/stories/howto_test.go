package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// howto is a page of docs/howto that is run word for word: its indented lines, in their order, but for the
// sections that begin with "If", which are other ways.
type howto struct {
	t        *testing.T
	dir      string // where it is run
	sections []section
	next     int
}

// section is a part of a page, with the commands in it.
type section struct {
	title    string
	commands []string
}

func readHowto(t *testing.T, page, dir string) *howto {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/howto", page))
	if err != nil {
		t.Fatal(err)
	}
	h := &howto{t: t, dir: dir}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if title, ok := strings.CutPrefix(line, "## "); ok {
			h.sections = append(h.sections, section{title: title})
			continue
		}
		if command, ok := strings.CutPrefix(line, "    "); ok && len(h.sections) > 0 {
			last := &h.sections[len(h.sections)-1]
			last.commands = append(last.commands, command)
		}
	}
	return h
}

// run runs the page on, up to the end of a section, and returns what that section printed.
func (h *howto) run(title string) (printed string) {
	h.t.Helper()
	for h.next < len(h.sections) {
		s := h.sections[h.next]
		h.next++
		if strings.HasPrefix(s.title, "If ") {
			continue
		}
		printed = ""
		for _, command := range s.commands {
			printed += h.bash(command)
		}
		if s.title == title {
			return printed
		}
	}
	h.t.Fatalf("the page has no section %q after the ones that were run", title)
	return ""
}

// done fails when a part of the page was not run.
func (h *howto) done() {
	h.t.Helper()
	for _, s := range h.sections[h.next:] {
		if !strings.HasPrefix(s.title, "If ") && len(s.commands) > 0 {
			h.t.Errorf("section %q was not run", s.title)
		}
	}
}

// bash runs a line as a platform engineer would, with Fairway's commands on the path.
func (h *howto) bash(command string) string {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "bash", "-c", command)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+bank.Platform.Kubeconfig, "HOME="+h.dir,
		"PATH="+bank.Bin()+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"GIT_AUTHOR_NAME=story", "GIT_AUTHOR_EMAIL=story@example.com", "GIT_COMMITTER_NAME=story", "GIT_COMMITTER_EMAIL=story@example.com")
	out, err := cmd.CombinedOutput()
	h.t.Logf("$ %s\n%s", command, firstLines(string(out)))
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func firstLines(text string) string {
	const most = 12
	lines := strings.SplitAfter(text, "\n")
	if len(lines) <= most {
		return text
	}
	return strings.Join(lines[:most], "") + "…"
}

// layOut makes a folder of what a page asks for: the acquired cluster's kubeconfig, and a clone of the config
// repository.
func layOut(t *testing.T, kubeconfig []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "acquired.yaml"), kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bank.CloneConfig(t.Context(), filepath.Join(dir, "config")); err != nil {
		t.Fatal(err)
	}
	return dir
}

package redact

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

func TestLastLines(t *testing.T) {
	many := strings.Repeat("line\n", 100)
	key := "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat(strings.Repeat("aB3+", 16)+"\n", 50) + "-----END RSA PRIVATE KEY-----\n"
	for name, c := range map[string]struct {
		raw   string
		lines int
		first string
	}{
		"nothing":                            {"", 0, ""},
		"only line ends":                     {"\n\t\n", 0, ""},
		"the last thirty":                    {"first\n" + many, event.MaxLogLines, "line"},
		"colours go":                         {"\x1b[31mred\x1b[0m\r\n", 1, "red"},
		"titles of terminals go":             {"\x1b]0;root@host\x07ok\x1b\n", 1, "ok"},
		"control characters go":              {"a\x00b\x07\u009bc\n", 1, "abc"},
		"what is no text is marked":          {"a\xffb\n", 1, "a\uFFFDb"},
		"one line that is too long":          {strings.Repeat("é", event.MaxLog), 1, ""},
		"one line longer than what is read":  {"password=" + strings.Repeat("x", MaxRead) + " end of it", 1, ""},
		"lines that are too long":            {strings.Repeat(strings.Repeat("x", 9_000)+"\n", 3), 1, ""},
		"a secret over the boundary":         {"password=hunter2\n" + strings.Repeat("y\n", 29), event.MaxLogLines, "password=***"},
		"a key longer than the last thirty":  {key + "fatal\n", 2, "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----"},
		"only the end of a key":              {key[800:] + "fatal\n", 2, "***-----END RSA PRIVATE KEY-----"},
		"what was cut in two is left out":    {strings.Repeat("hunter2", MaxRead/7) + "\nfatal\n", 1, "fatal"},
		"a line that carriage returns write": {"10%\r50%\r100%\n", 1, "10%50%100%"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Last(builtinOnly.Lines([]byte(c.raw)))
			if len(got) != c.lines {
				t.Fatalf("%d lines, want %d: %.200q", len(got), c.lines, got)
			}
			if c.first != "" && got[0] != c.first {
				t.Errorf("first line %.200q, want %q", got[0], c.first)
			}
			within(t, got)
		})
	}
	if got := builtinOnly.Lines([]byte("password=" + strings.Repeat("x", MaxRead) + " end of it"))[0]; !strings.HasSuffix(got, " end of it") || !strings.HasPrefix(got, cutMark) {
		t.Errorf("of a line whose begin was not read %.20q … is kept, want its end", got)
	}
}

func within(t *testing.T, lines []string) {
	t.Helper()
	if size := len(strings.Join(lines, "\n")); len(lines) > event.MaxLogLines || size > event.MaxLog {
		t.Errorf("%d lines, %d bytes; want at most %d and %d", len(lines), size, event.MaxLogLines, event.MaxLog)
	}
}

// FuzzLines holds what is sent of a log to its bounds: lines of printable text, redacted, which stay as
// they are when they are read again.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n"))
	f.Add([]byte("\x1b[31m\xff\xfe\r\n-----BEGIN PRIVATE KEY-----\n"))
	for _, c := range texts {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		lines := Last(builtinOnly.Lines(raw))
		within(t, lines)
		for _, line := range lines {
			if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
				t.Errorf("line %q", line)
			}
		}
		if again := Last(builtinOnly.Lines([]byte(strings.Join(lines, "\n")))); !cmp.Equal(lines, again) {
			t.Errorf("read again (-once +twice):\n%s", cmp.Diff(lines, again))
		}
		message := builtinOnly.Clean(string(raw))
		if len(message) > event.MaxMessage || !utf8.ValidString(message) || len(raw) <= event.MaxMessage && utf8.Valid(raw) && len(message) > len(raw) {
			t.Errorf("Clean: %d bytes became %d, valid %t", len(raw), len(message), utf8.ValidString(message))
		}
		if word := builtinOnly.Word(string(raw)); len(word) > MaxWord || !utf8.ValidString(word) || strings.ContainsAny(word, "\n\t") || strings.TrimSpace(word) != word {
			t.Errorf("Word: %q", word)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	line := "2026-11-22T07:42:00Z INFO request handled path=/v1/ledger status=200 duration=12ms user=0193a7de\n"
	for name, raw := range map[string]string{
		"30 lines":                   strings.Repeat(line, 30),
		"64 KiB":                     strings.Repeat(line, 660),
		"64 KiB, a secret each line": strings.Repeat("GET https://u:p@h/?sig=abc password=x Bearer abcdefgh key: value 0123456789 0123456789\n", 760),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Last(builtinOnly.Lines([]byte(raw)))
			}
		})
	}
}

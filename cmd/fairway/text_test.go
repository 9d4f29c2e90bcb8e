package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestSince(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "2026-11-22T07:17:00Z": time.Hour,
		"2026-11-22T08:17:00+01:00": time.Hour,
	} {
		if got, err := parseSince(value, now); err != nil || !got.Equal(now.Add(-want)) {
			t.Errorf("parseSince(%q) = %v, %v; want %v before now", value, got, err, want)
		}
	}
	for _, value := range []string{"", "0", "-1h", "1", "d", "1.5d", "-2d", "99999999d", "99999999999999999999d", "yesterday", "200000h"} {
		if got, err := parseSince(value, now); err == nil {
			t.Errorf("parseSince(%q) = %v, want an error", value, got)
		}
	}
}

func TestNear(t *testing.T) {
	have := []string{"prod-aws-eu1", "prod-aws-us1", "prod-azure-eu1", "dev"}
	for want, names := range map[string][]string{
		"prod-aws-eu2": {"prod-aws-eu1", "prod-aws-us1"},
		"azure":        {"prod-azure-eu1"},
		"prod":         {"prod-aws-eu1", "prod-aws-us1", "prod-azure-eu1"},
		"dve":          {"dev"},
		"staging":      nil,
		"":             nil,
	} {
		if diff := cmp.Diff(names, near(want, have)); diff != "" {
			t.Errorf("near(%q) (-want +got):\n%s", want, diff)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(1, "GitRepository"): "1 GitRepository", count(2, "GitRepository"): "2 GitRepositories", count(0, "day"): "0 days",
		shortRevision("main@sha1:" + strings.Repeat("ab", 20)): "main@sha1:abababa", shortRevision("6.5.4"): "6.5.4", shortRevision(""): "",
		shortRevision("latest@sha256:" + strings.Repeat("0", 64)): "latest@sha256:0000000", shortRevision("main@sha1:no"): "main@sha1:no",
		cut("abcdef", 4): "abc…", cut("a\nb", 4): "a …", cut("  a ", 4): "a", ago(now, time.Time{}): "never", ago(now, now.Add(time.Minute)): "0s ago",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzClean holds it to its promise: nothing is left that could drive a terminal, and text without
// such characters is left alone.
func FuzzClean(f *testing.F) {
	f.Add("fatal: \x1b[31mred\x1b[0m\ttab\r\n")
	f.Add("right\u202eleft \u009b31m")
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }) {
			t.Errorf("clean(%q) = %q", text, got)
		}
		if again := clean(got); again != got {
			t.Errorf("cleaned twice: %q, then %q", got, again)
		}
	})
}

var paint = regexp.MustCompile(`\x1b\[[0-9]+m`)

func TestColourOnlyRepeatsWhatTheTextSays(t *testing.T) {
	both := [2]string{}
	for i, colour := range []bool{false, true} {
		var b bytes.Buffer
		sh := &shell{name: "fairway", now: func() time.Time { return now }, zone: time.UTC, colour: colour}
		if err := clusterDocument(clusters(), now).table.write(&b, sh, false, true); err != nil {
			t.Fatal(err)
		}
		if err := clusterTree(degraded(), now, false).write(&b, sh); err != nil {
			t.Fatal(err)
		}
		both[i] = b.String()
	}
	if !paint.MatchString(both[1]) {
		t.Error("there is no colour with colour on")
	}
	if diff := cmp.Diff(both[0], paint.ReplaceAllString(both[1], "")); diff != "" {
		t.Errorf("without the colour (-plain +coloured):\n%s", diff)
	}
}

package containerlog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// clock goes one second a call.
func clock() func() time.Time {
	n := -1
	return func() time.Time { n++; return epoch.Add(time.Duration(n) * time.Second) }
}

func write(t *testing.T, lines ...string) string {
	t.Helper()
	var b bytes.Buffer
	l := New(&b, clock())
	out, errs := l.Stream("stdout"), l.Stream("stderr")
	for _, text := range lines {
		s := out
		if rest, ok := strings.CutPrefix(text, "!"); ok {
			s, text = errs, rest
		}
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "0.log")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	all := Options{Tail: -1, Limit: -1}
	with := func(f func(*Options)) Options { o := all; f(&o); return o }
	lines := []string{"one\n", "two\nthr", "ee\n", "!bad\n", "last"}
	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"everything, lines put together, in the order they were ended": {all, "one\ntwo\nthree\nbad\nlast\n"},
		"the last two lines":                      {with(func(o *Options) { o.Tail = 2 }), "bad\nlast\n"},
		"a longer tail than the log is all of it": {with(func(o *Options) { o.Tail = 99 }), "one\ntwo\nthree\nbad\nlast\n"},
		"a tail of no lines is empty":             {with(func(o *Options) { o.Tail = 0 }), ""},
		"a limit cuts in the middle of a line":    {with(func(o *Options) { o.Limit = 6 }), "one\ntw"},
		"a limit of nothing shows nothing":        {with(func(o *Options) { o.Limit = 0 }), ""},
		"one stream":                              {with(func(o *Options) { o.Stream = "stderr" }), "bad\n"},
		"since a moment":                          {with(func(o *Options) { o.Since = epoch.Add(3 * time.Second) }), "bad\nlast\n"},
		"timestamps are those of the file": {
			with(func(o *Options) { o.Tail, o.Timestamps = 1, true }), "2026-01-02T03:04:09Z last\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := Read(t.Context(), write(t, lines...), tc.options, nil, &got, func() {}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLongLineIsBrokenAndPutTogether(t *testing.T) {
	long := strings.Repeat("x", 2*maxLine+10)
	path := write(t, long+"\n", "short\n")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte(" P ")); n != 2 {
		t.Errorf("the file has %d parts, want 2", n)
	}
	var got bytes.Buffer
	if err := Read(t.Context(), path, Options{Tail: -1, Limit: -1, Timestamps: true}, nil, &got, func() {}); err != nil {
		t.Fatal(err)
	}
	want := "2026-01-02T03:04:05Z " + long + "\n2026-01-02T03:04:08Z short\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestFollowShowsTheLastLinesAfterTheEnd(t *testing.T) {
	path := write(t, "one\n")
	ended := make(chan struct{})
	var got bytes.Buffer
	waiting := false
	more := func() { // called when the reader has seen all there is
		if waiting {
			return
		}
		waiting = true
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := New(f, clock()).Stream("stdout").Write([]byte("two\n")); err != nil {
			t.Error(err)
		}
		close(ended)
	}
	if err := Read(t.Context(), path, Options{Tail: -1, Limit: -1, Follow: true}, ended, &got, more); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("one\ntwo\n", got.String()); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05Z stdout F hello\n"))
	f.Add([]byte("nonsense"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if l, ok := parse(raw); ok && l.time.IsZero() && !strings.HasPrefix(l.stamp, "0001") {
			t.Errorf("parse(%q) = %+v", raw, l)
		}
	})
}

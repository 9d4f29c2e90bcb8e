package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// drain reads a stream to its end.
func drain(r io.Reader) (got []message, last string, retry time.Duration, err error) {
	s := newSSE(r, "")
	for {
		m, err := s.next()
		if err != nil {
			return got, s.id, s.retry, err
		}
		got = append(got, m)
	}
}

func TestStreamFormat(t *testing.T) {
	for name, tt := range map[string]struct {
		stream string
		want   []message
		last   string
	}{
		"a message has its id, name and data": {
			"id: 7\nevent: event\ndata: {}\n\n", []message{{"7", "event", "{}"}}, "7"},
		"lines end with CR, LF or both": {
			"data: a\r\rdata: b\r\n\r\ndata: c\n\n", []message{{"", "message", "a"}, {"", "message", "b"}, {"", "message", "c"}}, ""},
		"several data lines are one text": {
			"data: a\ndata:b\ndata\n\n", []message{{"", "message", "a\nb\n"}}, ""},
		"only one space after the colon is not data": {
			"data:  a\n\n", []message{{"", "message", " a"}}, ""},
		"an id holds for the messages after it": {
			"id: 1\ndata: a\n\ndata: b\n\n", []message{{"1", "message", "a"}, {"1", "message", "b"}}, "1"},
		"an id without data counts, a message without data does not": {
			"event: lag\nid: 3\n\ndata: a\n\n", []message{{"3", "message", "a"}}, "3"},
		"what is cut off in the middle is no message and its id does not count": {
			"id: 1\ndata: a\n\nid: 2\ndata: b\n", []message{{"1", "message", "a"}}, "1"},
		"comments and unknown fields are nothing":   {": ping\n\nfoo: bar\n: x\ndata: a\n\n", []message{{"", "message", "a"}}, ""},
		"a byte order mark at the start is nothing": {"\xef\xbb\xbfdata: a\n\n", []message{{"", "message", "a"}}, ""},
		"an id with a zero byte is ignored":         {"id: a\x00b\ndata: a\n\n", []message{{"", "message", "a"}}, ""},
		"an empty stream has no messages":           {"", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, last, _, err := drain(strings.NewReader(tt.stream))
			if !errors.Is(err, io.EOF) {
				t.Errorf("end: %v, want io.EOF", err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(message{})); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if last != tt.last {
				t.Errorf("last id %q, want %q", last, tt.last)
			}
		})
	}
}

func TestStreamAsksForARetryDelay(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"retry: 1500\n\n": 1500 * time.Millisecond, "retry: soon\n\n": 0, "retry: -1\n\n": 0, "retry: 99999999999999\n\n": 0,
	} {
		if _, _, got, _ := drain(strings.NewReader(text)); got != want {
			t.Errorf("%q: retry %v, want %v", text, got, want)
		}
	}
}

func TestStreamRefusesMessagesWithoutEnd(t *testing.T) {
	long := strings.Repeat("x", 3*maxMessage/4)
	for name, stream := range map[string]string{
		"a line":             "data: " + long + long + "\n\n",
		"many lines of data": "data: " + long + "\ndata: " + long + "\n\n",
	} {
		if _, _, _, err := drain(strings.NewReader(stream)); !errors.Is(err, errTooLong) {
			t.Errorf("%s: %v, want errTooLong", name, err)
		}
	}
}

// FuzzSSE holds the parser to: the same messages however the bytes arrive, and no text lost from
// one that it wrote itself.
func FuzzSSE(f *testing.F) {
	f.Add("id: 7\nevent: event\ndata: {}\n\n: ping\n\n")
	f.Add("\xef\xbb\xbfdata: a\r\rid: 1\r\n\r\ndata\n\n")
	f.Add("retry: 10\nevent: lag\ndata: x\ndata: y\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		whole, last, _, err := drain(strings.NewReader(stream))
		pieces, lastOfPieces, _, errOfPieces := drain(iotest.OneByteReader(strings.NewReader(stream)))
		if diff := cmp.Diff(whole, pieces, cmp.AllowUnexported(message{})); diff != "" || last != lastOfPieces {
			t.Errorf("byte by byte (-whole +pieces), ids %q and %q:\n%s", last, lastOfPieces, diff)
		}
		if !errors.Is(errOfPieces, err) && err.Error() != errOfPieces.Error() {
			t.Errorf("whole ends with %v, pieces with %v", err, errOfPieces)
		}
		for _, m := range whole {
			again, _, _, _ := drain(strings.NewReader(written(m)))
			if diff := cmp.Diff([]message{m}, again, cmp.AllowUnexported(message{})); diff != "" {
				t.Errorf("written and read again (-want +got):\n%s", diff)
			}
		}
	})
}

func written(m message) string {
	return "id: " + m.id + "\nevent: " + m.name + "\ndata: " + strings.ReplaceAll(m.data, "\n", "\ndata: ") + "\n\n"
}

package wire

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// FuzzMembers: what is taken is valid JSON, and so is every value.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1,"b":[true,{"c":null}]}`, `{"a":-0.5e+10}`, `{"a":"\u00e9\n"}`, `{"a":1}x`, `[1]`, `{"a":01}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var values [][]byte
		take := func(value []byte) bool { values = append(values, value); return true }
		if !Members(data, func(_, value []byte) bool { return take(value) }) && !Elements(data, take) {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is taken and is not JSON", data)
		}
		for _, value := range values {
			checkValue(t, value)
		}
	})
}

func checkValue(t *testing.T, value []byte) {
	t.Helper()
	if !json.Valid(value) {
		t.Fatalf("value %q is not JSON", value)
	}
	if text, ok := Text(value); ok {
		var want string
		if err := json.Unmarshal(value, &want); err != nil || want != text {
			t.Fatalf("Text(%q) = %q, want %q (%v)", value, text, want, err)
		}
	}
	if n, ok := Int(value); ok {
		var want int32
		if err := json.Unmarshal(value, &want); err != nil || want != n {
			t.Fatalf("Int(%q) = %d, want %d (%v)", value, n, want, err)
		}
	}
}

func TestMembersTakesPlainJSON(t *testing.T) {
	for text, want := range map[string]int{
		`{}`: 0, ` {"a" : 1 , "b":[ 1,2 ], "c":{"d":"\"}"}} `: 3, `{"a":true,"b":false,"c":null,"d":-1.5e3}`: 4,
		`{"a":1,}`: -1, `{"a" 1}`: -1, `{"a":tru}`: -1, `{"a":1}}`: -1, `{`: -1, `{"a":"`: -1, `{"a":"\x"}`: -1, `{"a":"\u12"}`: -1, `[]`: -1, ``: -1,
	} {
		n := 0
		if !Members([]byte(text), func(_, _ []byte) bool { n++; return true }) {
			n = -1
		}
		if n != want {
			t.Errorf("Members(%q): %d members, want %d (-1: not taken)", text, n, want)
		}
	}
}

func TestPlainStopsAtTheFirstByteThatDoesNotStandForItself(t *testing.T) {
	for c := range 256 {
		special := c < ' ' || c == '"' || c == '\\' || c >= 0x80
		for length := 1; length < 20; length++ {
			for at := range length {
				data := []byte(strings.Repeat("~", length))
				data[at] = byte(c)
				want := length
				if special {
					want = at
				}
				if got := plain(data); got != want {
					t.Fatalf("plain(%q) = %d, want %d", data, got, want)
				}
				for after := at + 1; special && after < length; after++ { // and nothing behind it changes that
					data[after] = '"'
				}
				if got := plain(data); got != want {
					t.Fatalf("plain(%q) = %d, want %d", data, got, want)
				}
			}
		}
	}
}

func TestTextsShareTheirMemoryAndNothingElse(t *testing.T) {
	var texts Texts
	var got []string
	var want []string
	for i := range 200 {
		text := strings.Repeat(string(rune('a'+i%26)), i)
		var s string
		if !texts.Take([]byte(`"`+text+`"`), &s) {
			t.Fatalf("Take(%q) = false", text)
		}
		got, want = append(got, s), append(want, text)
	}
	if !slices.Equal(got, want) {
		t.Errorf("texts = %q, want %q", got, want)
	}
	var s string
	if texts.Take([]byte(`"a\n"`), &s) || texts.Take([]byte(`5`), &s) {
		t.Error("a text with escapes, or a number, was taken")
	}
}

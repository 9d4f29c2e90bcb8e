package ownership

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var labels = Labels{
	Team: []string{"example.com/owner", "squad"}, Service: []string{"service"}, Artifact: []string{"artifact"},
	Aliases: map[string]string{"payments-team": "payments", "squad-pay": "payments", "payments": "ledger"},
}

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		places []map[string]string
		want   Owner
	}{
		"no labels, no owner":                        {nil, Owner{}},
		"the first place counts":                     {[]map[string]string{{"squad": "risk"}, {"squad": "cards"}}, Owner{Team: "risk"}},
		"of one place, the first name counts":        {[]map[string]string{{"squad": "risk", "example.com/owner": "cards"}}, Owner{Team: "cards"}},
		"each field is looked for by itself":         {[]map[string]string{{"service": "ledger"}, {"squad": "risk", "artifact": "a1"}}, Owner{"risk", "ledger", "a1"}},
		"a value of space is none":                   {[]map[string]string{{"squad": "  "}, {"squad": "cards"}}, Owner{Team: "cards"}},
		"an alias stands for its team":               {[]map[string]string{{"squad": "squad-pay"}}, Owner{Team: "payments"}},
		"an alias is followed once":                  {[]map[string]string{{"squad": "payments-team"}}, Owner{Team: "payments"}},
		"space around a name does not hide an alias": {[]map[string]string{{"squad": " squad-pay "}}, Owner{Team: "payments"}},
		"aliases are of teams only":                  {[]map[string]string{{"service": "squad-pay"}}, Owner{Service: "squad-pay"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, labels.Of(strings.TrimSpace, c.places...)); diff != "" {
				t.Errorf("Of (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrAndWith(t *testing.T) {
	if got := (Owner{Team: "a"}).Or(Owner{"b", "c", "d"}); got != (Owner{"a", "c", "d"}) {
		t.Errorf("Or = %+v", got)
	}
	got := Labels{Team: []string{"mine"}, Aliases: map[string]string{"a": "b"}}.With(Labels{Team: []string{"theirs"}, Service: []string{"s"}})
	if diff := cmp.Diff(Labels{Team: []string{"mine", "theirs"}, Service: []string{"s"}, Aliases: map[string]string{"a": "b"}}, got); diff != "" {
		t.Errorf("With (-want +got):\n%s", diff)
	}
}

// FuzzOf reads an owner from two places of labels: what it finds stands in one of them, cleaned; the
// first place wins; what clean makes of it is what is sent.
func FuzzOf(f *testing.F) {
	f.Add("squad", "payments", "example.com/owner", "cards", "squad-pay")
	f.Add("service", " \t", "service", "x", "")
	f.Add("squad", "\xff\n", "artifact", "a", "\xff")
	clean := func(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\n", ""), "?") }
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, alias string) {
		with := labels
		with.Aliases = map[string]string{alias: "aliased"}
		first, second := map[string]string{name1: value1}, map[string]string{name2: value2}
		got := with.Of(clean, first, nil, second)
		of := []string{strings.TrimSpace(clean(value1)), strings.TrimSpace(clean(value2))}
		if got.Team == "aliased" && !slices.Contains(of, alias) && !slices.Contains(of, "aliased") {
			t.Errorf("%q stands for nothing of %q", alias, of)
		}
		for _, v := range []string{got.Team, got.Service, got.Artifact} {
			known := v == "" || slices.Contains(of, v)
			if !known && (v != "aliased" || v != got.Team) || !utf8.ValidString(v) || strings.TrimSpace(v) != v {
				t.Errorf("%q=%q, %q=%q gave %+v", name1, value1, name2, value2, got)
			}
		}
		if alone := with.Of(clean, first); alone.Team != "" && alone.Team != got.Team || alone.Or(got) != got {
			t.Errorf("the first place alone gave %+v, with a second one %+v", alone, got)
		}
		if again := with.Of(clean, first, nil, second); again != got {
			t.Errorf("read again: %+v, then %+v", got, again)
		}
		if got.Or(got) != got || (Owner{}).Or(got) != got {
			t.Errorf("Or changes %+v", got)
		}
	})
}

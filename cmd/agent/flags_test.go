package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/ownership"
	"github.com/fairway-dev/fairway/fleet/redact"
)

func TestFlagsOfTheObserver(t *testing.T) {
	s := settings{aliases: []string{"squad-pay=payments", "Payments, Team=1=payments"}, redact: []string{`card=\d{4}=\d{4}`}}
	s.options.Observe.Labels.Team = []string{"owner"}
	got, err := s.observe()
	if err != nil {
		t.Fatal(err)
	}
	want := ownership.Labels{Team: []string{"owner"}, Aliases: map[string]string{"squad-pay": "payments", "Payments, Team=1": "payments"}}
	if diff := cmp.Diff(want, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if text := got.Redact.Redact("1234=5678 password=x"); text != "*** password=*" {
		t.Errorf("redacted to %q", text)
	}
}

func TestFlagsThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		s    settings
		want string
	}{
		"an alias without a team":  {settings{aliases: []string{"a="}}, `--team-alias "a=" is not alias=team`},
		"a team without an alias":  {settings{aliases: []string{"=a"}}, `--team-alias "=a" is not alias=team`},
		"a rule without a pattern": {settings{redact: []string{"card"}}, `--redact "card" is not name=pattern`},
		"a pattern that is none":   {settings{redact: []string{"card=("}}, "missing closing )"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.s.observe(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
	if o, err := (settings{}).observe(); err != nil || !cmp.Equal(o.Platform, observe.Platform{}) || o.Redact == (*redact.Redactor)(nil) {
		t.Errorf("without flags: %+v, %v", o, err)
	}
}

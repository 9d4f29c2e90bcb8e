package kubeletapi

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/containerlog"
)

func TestLogOptions(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		query string
		want  containerlog.Options
		fail  bool
	}{
		"nothing asked is everything":       {"", containerlog.Options{Tail: -1, Limit: -1}, false},
		"what kubectl logs sends":           {"follow=true&tailLines=0&timestamps=true", containerlog.Options{Tail: 0, Limit: -1, Follow: true, Timestamps: true}, false},
		"since some seconds":                {"sinceSeconds=5", containerlog.Options{Tail: -1, Limit: -1, Since: now.Add(-5 * time.Second)}, false},
		"since a time":                      {"sinceTime=2026-01-02T03:04:05Z", containerlog.Options{Tail: -1, Limit: -1, Since: now}, false},
		"one stream":                        {"stream=Stderr", containerlog.Options{Tail: -1, Limit: -1, Stream: "stderr"}, false},
		"all streams":                       {"stream=All", containerlog.Options{Tail: -1, Limit: -1}, false},
		"a tail that is no number":          {"tailLines=x", containerlog.Options{}, true},
		"a negative tail":                   {"tailLines=-1", containerlog.Options{}, true},
		"a limit of no bytes":               {"limitBytes=0", containerlog.Options{}, true},
		"a time in another form is refused": {"sinceTime=yesterday", containerlog.Options{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := logOptions(query, now)
			if (err != nil) != tc.fail {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" && !tc.fail {
				t.Error(diff)
			}
		})
	}
}

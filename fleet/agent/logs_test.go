package agent

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/redact"
)

func TestTheEndOfALogIsKept(t *testing.T) {
	long := strings.Repeat("0123456789", 5_000)
	for name, c := range map[string]struct {
		limit      int
		text, want string
	}{
		"nothing":             {10, "", ""},
		"less than the limit": {10, "abc", "abc"},
		"just the limit":      {3, "abc", "abc"},
		"more":                {3, "abcdef", "def"},
		"much more":           {7, long, "3456789"},
	} {
		for how, reader := range map[string]io.Reader{
			"at once": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text)), "with the end": iotest.DataErrReader(strings.NewReader(c.text)),
		} {
			got, err := tail(reader, c.limit)
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %s: %.20q, %v; want %q", name, how, got, err, c.want)
			}
		}
	}
	broken := errors.New("the kubelet is gone")
	if _, err := tail(iotest.ErrReader(broken), 3); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// kubelet answers for logs as the API server does: the previous instance has none here.
func kubelet(t *testing.T, log []byte) (*logReader, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if r.URL.Query().Get("previous") == "true" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"BadRequest","code":400,"message":"previous terminated container not found"}`)
			return
		}
		_, _ = w.Write(log)
	}))
	t.Cleanup(server.Close)
	c, err := newClusterClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return newLogReader(c.core), &asked
}

func TestOneHugeLineIsReadFromItsEnd(t *testing.T) {
	log := append(bytes.Repeat([]byte("x"), 300<<10), " the end of it"...)
	reader, asked := kubelet(t, log)
	raw, problem := reader.read(t.Context(), observe.LogRef{Namespace: "pay", Pod: "p", Container: "app", Previous: true})
	if problem != "" || len(raw) != redact.MaxRead+1 || !strings.HasSuffix(string(raw), " the end of it") {
		t.Errorf("%d bytes, problem %q", len(raw), problem)
	}
	want := []string{"/api/v1/namespaces/pay/pods/p/log?container=app&previous=true&tailLines=120", "/api/v1/namespaces/pay/pods/p/log?container=app&previous=false&tailLines=120"}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestWhyThereAreNoLinesIsSaid(t *testing.T) {
	c, err := newClusterClient(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if raw, problem := newLogReader(c.core).read(t.Context(), observe.LogRef{Namespace: "pay", Pod: "p"}); raw != nil || problem == "" {
		t.Errorf("%q, %q; want nothing, and why", raw, problem)
	}
}

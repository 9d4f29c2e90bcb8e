package members

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Member is the API server of one cluster.
type Member struct {
	name   string
	shared *store
	api    *discovery
	gate

	mu      sync.Mutex
	objects map[address]*object
	calls   Calls
}

// Calls counts what was asked, by what it is to an API server. Requests that were never answered are not in it.
type Calls struct {
	Reads     int // get, list, discovery, version
	DryRuns   int // applies, to compare with
	Writes    int // create, apply, patch, delete
	Questions int // reviews, which store nothing
	Watches   int
}

// All is the sum.
func (c Calls) All() int { return c.Reads + c.DryRuns + c.Writes + c.Questions + c.Watches }

func (c *Calls) add(other Calls) {
	c.Reads, c.DryRuns, c.Writes = c.Reads+other.Reads, c.DryRuns+other.DryRuns, c.Writes+other.Writes
	c.Questions, c.Watches = c.Questions+other.Questions, c.Watches+other.Watches
}

// Since is what was asked after before.
func (c Calls) Since(before Calls) Calls {
	return Calls{c.Reads - before.Reads, c.DryRuns - before.DryRuns, c.Writes - before.Writes, c.Questions - before.Questions, c.Watches - before.Watches}
}

// address is where an object is.
type address struct{ group, version, resource, namespace, name string }

func newMember(name string, shared *store, api *discovery) *Member {
	return &Member{name: name, shared: shared, api: api, objects: map[address]*object{}}
}

// Calls says what was asked so far.
func (m *Member) Calls() Calls {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Secret is the data of a Secret; nil when it is not there.
func (m *Member) Secret(namespace, name string) (map[string][]byte, error) {
	m.mu.Lock()
	found := m.objects[address{"", "v1", "secrets", namespace, name}]
	m.mu.Unlock()
	if found == nil {
		return nil, nil
	}
	var secret struct{ Data map[string][]byte }
	if err := json.Unmarshal(found.json, &secret); err != nil {
		return nil, fmt.Errorf("read Secret %s of %s: %w", name, m.name, err)
	}
	return secret.Data, nil
}

// serve answers one request.
func (m *Member) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	parts := strings.Split(path, "/")
	switch {
	case path == "version":
		m.count(func(c *Calls) { c.Reads++ })
		write(w, http.StatusOK, m.api.version)
		return
	case parts[0] == "api" && len(parts) <= 2, parts[0] == "apis" && len(parts) <= 3:
		m.discover(w, "/"+path)
		return
	}
	at, ok := parse(parts)
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "NotFound", "there is nothing at "+r.URL.Path)
	case r.URL.Query().Get("watch") == "true":
		m.count(func(c *Calls) { c.Watches++ })
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "nobody watches a member")
	case r.Method == http.MethodGet && at.name == "":
		m.list(w, r, at)
	case r.Method == http.MethodGet:
		m.get(w, r, at)
	case r.Method == http.MethodPatch && strings.HasPrefix(r.Header.Get("Content-Type"), "application/apply-patch+yaml"):
		m.apply(w, r, at)
	case r.Method == http.MethodPost:
		m.create(w, at)
	case r.Method == http.MethodDelete:
		m.remove(w, at)
	default:
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed", r.Method)
	}
}

// parse reads where an object, or a list, is. Of subresources there are none.
func parse(parts []string) (at address, ok bool) {
	switch {
	case parts[0] == "api" && len(parts) >= 3:
		at.version, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) >= 4:
		at.group, at.version, parts = parts[1], parts[2], parts[3:]
	default:
		return at, false
	}
	if parts[0] == "namespaces" && len(parts) >= 3 {
		at.namespace, parts = parts[1], parts[2:]
	}
	at.resource = parts[0]
	if len(parts) == 2 {
		at.name = parts[1]
	}
	return at, len(parts) <= 2
}

func (m *Member) count(one func(*Calls)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one(&m.calls)
}

func (m *Member) discover(w http.ResponseWriter, path string) {
	m.mu.Lock()
	m.calls.Reads++
	var defined []*kind
	for _, o := range m.objects {
		if o.define != nil {
			defined = append(defined, o.define)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(defined, func(a, b *kind) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.plural, b.plural)) })
	data, err := m.api.answer(path, defined)
	switch {
	case err != nil:
		fail(w, http.StatusInternalServerError, "InternalError", err.Error())
	case data == nil:
		fail(w, http.StatusNotFound, "NotFound", path)
	default:
		kind := "application/json"
		if path == "/api" || path == "/apis" {
			kind = aggregated
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(data) // who asked may have gone
	}
}

func (m *Member) get(w http.ResponseWriter, r *http.Request, at address) {
	m.mu.Lock()
	m.calls.Reads++
	found := m.objects[at]
	m.mu.Unlock()
	switch {
	case found == nil:
		fail(w, http.StatusNotFound, "NotFound", at.resource+" "+at.name+" not found")
	case partial(r):
		write(w, http.StatusOK, found.meta)
	default:
		write(w, http.StatusOK, found.json)
	}
}

// partial says whether only the metadata is asked for.
func partial(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
}

func (m *Member) list(w http.ResponseWriter, r *http.Request, at address) {
	wanted, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	var out strings.Builder
	kind, version := m.api.kindOf(at)+"List", metav1.GroupVersion{Group: at.group, Version: at.version}.String()
	if partial(r) {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	fmt.Fprintf(&out, `{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"1"},"items":[`, kind, version)
	for i, found := range m.find(at, wanted) {
		if i > 0 {
			out.WriteByte(',')
		}
		if partial(r) {
			out.Write(found.meta)
		} else {
			out.Write(found.json)
		}
	}
	out.WriteString("]}")
	write(w, http.StatusOK, []byte(out.String()))
}

func (m *Member) find(in address, wanted labels.Selector) []*object {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls.Reads++
	var out []*object
	for at, o := range m.objects {
		if at.group == in.group && at.version == in.version && at.resource == in.resource && (in.namespace == "" || at.namespace == in.namespace) &&
			wanted.Matches(o.labels) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *object) int { return slices.Compare(a.hash[:], b.hash[:]) })
	return out
}

func (m *Member) apply(w http.ResponseWriter, r *http.Request, at address) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // who asked has gone
	}
	made, err := m.shared.applied(body)
	if err != nil {
		fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	dry := r.URL.Query().Get("dryRun") == "All"
	m.mu.Lock()
	have := m.objects[at]
	if dry {
		m.calls.DryRuns++
	} else {
		m.calls.Writes++
		m.objects[at] = made
	}
	m.mu.Unlock()
	if dry && have == nil {
		write(w, http.StatusCreated, made.dry)
		return
	}
	write(w, http.StatusOK, made.json)
}

// create answers reviews of rights: this administrator may do everything. Nothing else is created but by an apply.
func (m *Member) create(w http.ResponseWriter, at address) {
	if at.group != "authorization.k8s.io" {
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "create "+at.resource)
		return
	}
	m.count(func(c *Calls) { c.Questions++ })
	write(w, http.StatusCreated, []byte(`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{},"status":{"allowed":true}}`))
}

func (m *Member) remove(w http.ResponseWriter, at address) {
	m.mu.Lock()
	m.calls.Writes++
	_, there := m.objects[at]
	delete(m.objects, at)
	m.mu.Unlock()
	if !there {
		fail(w, http.StatusNotFound, "NotFound", at.resource+" "+at.name+" not found")
		return
	}
	write(w, http.StatusOK, []byte(`{"apiVersion":"v1","kind":"Status","status":"Success"}`))
}

func write(w http.ResponseWriter, code int, data []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(data) // who asked may have gone
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code})
	if err != nil {
		panic(err) // of strings and a number
	}
	write(w, code, data)
}

// Package server is the hub's HTTP API: the fleet view as JSON, the event stream as pages and as
// server-sent events, metrics and health. Every route of the API asks Kubernetes who the caller is
// and what they may see; the OpenAPI document is made from the code.
package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-logr/logr"

	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Log is the stored event stream; *bus.Conn is one.
type Log interface {
	Read(ctx context.Context, from bus.Start, filter bus.Filter, fn func(bus.Message) bool) error
	State(ctx context.Context) (bus.State, error)
}

// Options of a Server. History, Releases, Clock, KeepAlive and Resources may be left out.
type Options struct {
	View    *view.View
	Log     Log
	Feed    *Feed
	History *history.History // nil: nothing is known of the past
	Auth    Auth
	// Releases makes releases; nil: nobody can ask for one here.
	Releases Releases
	Version  string
	Logger   logr.Logger
	// Ready says why the hub cannot answer yet; nil when it can.
	Ready func() error

	Clock     func() time.Time // nil: time.Now
	KeepAlive time.Duration    // of quiet event streams; 0: 15 s
	Resources int              // Flux objects that the metrics show one by one; 0: DefaultResources, negative: none
}

const (
	defaultKeepAlive = 15 * time.Second
	answerWithin     = 30 * time.Second // for every route but watch
	writeWithin      = 10 * time.Second // for every message of watch
)

// Server answers from the view and the stream.
type Server struct {
	Options
	mux *http.ServeMux
	api huma.API
}

// New makes the server. Handler and Health are its two faces.
func New(o Options) *Server {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = defaultKeepAlive
	}
	if o.Resources == 0 {
		o.Resources = DefaultResources
	}
	s := &Server{Options: o, mux: http.NewServeMux()}
	config := huma.DefaultConfig("Fairway", o.Version)
	config.Info.Description = "The fleet view: clusters, services, releases, episodes and events of every workload cluster."
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "a token that the platform's Kubernetes accepts"},
	}
	config.Security = []map[string][]string{{"bearer": {}}}
	s.api = humago.New(guarded{s}, config)
	s.registerClusters()
	s.registerServices()
	s.registerEpisodes()
	s.registerUnowned()
	s.registerEvents()
	s.registerSince()
	s.registerTimeline()
	s.registerWatch()
	s.registerSchemas()
	s.registerReleases()
	s.registerRelease()
	s.registerDelivery()
	s.mux.Handle("/", s.chain(right{}, http.HandlerFunc(notFound)))
	return s
}

// Handler serves the API. It belongs behind TLS that asks for client certificates.
func (s *Server) Handler() http.Handler { return s.mux }

// OpenAPI is the description of the API, as JSON.
func (s *Server) OpenAPI() ([]byte, error) { return s.api.OpenAPI().MarshalJSON() }

// guarded registers routes behind the middleware, with the right that rights demands for them.
// A route without an entry there does not start: nothing is open by being forgotten.
type guarded struct{ s *Server }

func (g guarded) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	needed, ok := rights[pattern]
	if !ok {
		panic("route " + pattern + " has no entry in the table of rights")
	}
	g.s.mux.Handle(pattern, g.s.chain(needed, http.HandlerFunc(handler)))
}

func (g guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.s.mux.ServeHTTP(w, r) }

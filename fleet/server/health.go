package server

import "net/http"

// Health serves probes and metrics, for a port of its own: kubelets and Prometheus bring no
// credentials, and nothing here names more than clusters and numbers.
func (s *Server) Health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		detail := "ok"
		if s.History != nil { // the present is served without it
			if err := s.History.Health(); err != nil {
				detail += "; " + err.Error()
			}
		}
		plain(w, http.StatusOK, detail)
	})
	mux.Handle("GET /metrics", s.metrics())
	return mux
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a prober that went away needs no answer
}

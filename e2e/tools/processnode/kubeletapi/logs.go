package kubeletapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/containerlog"
)

func (h handler) logs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	options, err := logOptions(query, time.Now())
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	file, ended, err := h.pods.Log(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), isTrue(query, "previous"))
	if err != nil {
		refuse(w, err)
		return
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		reply(w, http.StatusNotFound, "the log is no longer kept")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	flush := func() {
		if err := http.NewResponseController(w).Flush(); err != nil {
			slog.DebugContext(r.Context(), "Log not flushed", "error", err)
		}
	}
	if err := containerlog.Read(r.Context(), file, options, ended, w, flush); err != nil && r.Context().Err() == nil {
		slog.WarnContext(r.Context(), "Log not fully sent", "path", r.URL.Path, "error", err)
	}
}

// logOptions reads the query of a log request.
func logOptions(query url.Values, now time.Time) (containerlog.Options, error) {
	o := containerlog.Options{Tail: -1, Limit: -1, Timestamps: isTrue(query, "timestamps"), Follow: isTrue(query, "follow")}
	var seconds int64
	for _, n := range []struct {
		name  string
		value *int64
		least int64
	}{{"tailLines", &o.Tail, 0}, {"limitBytes", &o.Limit, 1}, {"sinceSeconds", &seconds, 1}} {
		text := query.Get(n.name)
		if text == "" {
			continue
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < n.least {
			return o, fmt.Errorf("%s must be a number of at least %d", n.name, n.least)
		}
		*n.value = v
	}
	if seconds > 0 {
		o.Since = now.Add(-time.Duration(seconds) * time.Second)
	} else if text := query.Get("sinceTime"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return o, fmt.Errorf("sinceTime must be a time: %w", err)
		}
		o.Since = t
	}
	if s := strings.ToLower(query.Get("stream")); s != "all" {
		o.Stream = s
	}
	return o, nil
}

func isTrue(query url.Values, name string) bool {
	v, err := strconv.ParseBool(query.Get(name))
	return err == nil && v
}

package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/fairway-dev/fairway/api/rest"
)

// Auth is how callers are known and what decides about their rights; Delegated makes one that
// asks Kubernetes.
type Auth struct {
	Authenticator authenticator.Request
	Authorizer    authorizer.Authorizer
}

// middleware wraps a handler. None of ours replaces the ResponseWriter: that would hide Flush.
type middleware func(http.Handler) http.Handler

// chain is the only list of middleware, in the order in which a request meets it.
func (s *Server) chain(needed right, h http.Handler) http.Handler {
	chain := []middleware{s.recover, headers, deadline, refuseImpersonation, s.authenticate, s.authorize(needed)}
	for i := len(chain) - 1; i >= 0; i-- {
		h = chain[i](h)
	}
	return h
}

func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			s.Logger.Error(fmt.Errorf("panic: %v", cause), "request failed", "path", r.URL.Path, "stack", string(debug.Stack()))
			write(w, rest.Problem{Status: http.StatusInternalServerError, Detail: "the hub made a mistake",
				Fix: "report it, with the lines of the hub's log from this moment"})
		}()
		next.ServeHTTP(w, r)
	})
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// deadline bounds how long an answer takes to be written; watch sets its own for every message.
func deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A writer without deadlines is a test's recorder, which needs none.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			write(w, rest.Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuseImpersonation answers calls that ask to be served as somebody else: with their own rights they
// would get an answer that the other might not see.
func refuseImpersonation(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "Impersonate-") {
				write(w, rest.Problem{Status: http.StatusBadRequest, Detail: "the hub serves nobody as somebody else (header " + name + ")",
					Fix: "leave out --as, or use a token of the other account (kubectl create token)"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok, err := s.Auth.Authenticator.AuthenticateRequest(r)
		if err != nil {
			s.Logger.V(1).Info("credentials refused", "path", r.URL.Path, "reason", err.Error())
		}
		if err != nil || !ok || answer.User.GetName() == user.Anonymous {
			w.Header().Set("WWW-Authenticate", `Bearer realm="fairway"`)
			write(w, unauthorized(err))
			return
		}
		next.ServeHTTP(w, r.WithContext(request.WithUser(r.Context(), answer.User)))
	})
}

func unauthorized(err error) rest.Problem {
	p := rest.Problem{Status: http.StatusUnauthorized, Detail: "the request carries no credentials",
		Fix: "send a token (Authorization: Bearer …) or a client certificate that the platform's Kubernetes accepts; the fairway command sends those of your kubeconfig"}
	if err != nil {
		p.Detail = "Kubernetes does not accept these credentials"
		p.Fix = "log in to the platform cluster again (kubectl auth whoami shows whether it knows you), then repeat"
	}
	return p
}

// authorize demands a right. The zero right stands for paths that do not exist: they say so to
// everybody who is known.
func (s *Server) authorize(needed right) middleware {
	return func(next http.Handler) http.Handler {
		if needed == (right{}) {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, _ := request.UserFrom(r.Context())
			attributes := needed.attributes(who, r)
			decision, _, err := s.Auth.Authorizer.Authorize(r.Context(), attributes)
			switch {
			case decision == authorizer.DecisionAllow:
				next.ServeHTTP(w, r)
			case err != nil:
				s.Logger.Error(err, "cannot ask Kubernetes for a right", "path", r.URL.Path)
				write(w, rest.Problem{Status: http.StatusServiceUnavailable, Detail: "Kubernetes cannot be asked whether you may do this",
					Fix: "try again; if it stays, look at the hub's log and at the platform's API server"})
			default:
				write(w, forbidden(attributes))
			}
		})
	}
}

func forbidden(a authorizer.AttributesRecord) rest.Problem {
	resource := a.Resource + "." + a.APIGroup
	what, where := fmt.Sprintf("%s %s", a.Verb, resource), "--all-namespaces"
	if a.Namespace != "" {
		what, where = what+" in namespace "+a.Namespace, "-n "+a.Namespace
	}
	role := "ClusterRole fairway-view"
	switch a.Verb {
	case "create":
		role = "ClusterRole fairway-edit"
	case "approve":
		role = "role with the verb approve on " + resource
	}
	return rest.Problem{Status: http.StatusForbidden, Detail: fmt.Sprintf("%s may not %s", a.User.GetName(), what),
		Fix: fmt.Sprintf("ask a platform engineer to bind the %s to you; `kubectl auth can-i %s %s %s` shows when it is", role, a.Verb, resource, where)}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	write(w, rest.Problem{Status: http.StatusNotFound, Detail: "there is nothing at " + r.URL.Path,
		Fix: "/openapi.json lists every path"})
}

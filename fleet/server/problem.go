package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
)

const problemJSON = "application/problem+json"

// Problem is rest.Problem as huma wants its errors.
type Problem rest.Problem

func (p *Problem) Error() string { return (*rest.Problem)(p).Error() }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes it a problem document, whatever the caller prefers.
func (p *Problem) ContentType(string) string { return problemJSON }

// huma offers no other place for the form of its errors.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		details := []string{message}
		for _, err := range errs {
			if err != nil {
				details = append(details, err.Error())
			}
		}
		p := rest.Problem{Status: status, Detail: strings.Join(details, "; ")}
		if status == http.StatusUnprocessableEntity || status == http.StatusBadRequest {
			p.Fix = "correct the parameter; /openapi.json describes them all"
		}
		return problem(p)
	}
}

// problem completes a problem, for handlers to return.
func problem(p rest.Problem) *Problem {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return (*Problem)(&p)
}

// write answers with a problem outside of huma's handlers.
func write(w http.ResponseWriter, p rest.Problem) {
	body, err := json.Marshal(problem(p))
	if err != nil { // a struct of strings and a number
		panic(err)
	}
	w.Header().Set("Content-Type", problemJSON)
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // nobody is left to tell
}

package server

import (
	"encoding/base64"
	"net/http"
	"sort"

	"github.com/fairway-dev/fairway/api/rest"
)

// Paging are the parameters of every list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Most items of the page"`
	Cursor string `query:"cursor" maxLength:"512" doc:"The next of the page before"`
}

// cut takes the page's items out of all, which are ordered by key. A cursor is the key of the last
// item of the page before: items that come and go in between move no page.
func cut[T any](all []T, p Paging, key func(T) string) (items []T, next string, err error) {
	start := 0
	if p.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		if err != nil {
			return nil, "", badCursor()
		}
		start = sort.Search(len(all), func(i int) bool { return key(all[i]) > string(after) })
	}
	end := min(start+p.Limit, len(all))
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(key(all[end-1])))
	}
	return all[start:end], next, nil
}

func badCursor() error {
	return problem(rest.Problem{Status: http.StatusBadRequest, Detail: "the cursor is not one of this list",
		Fix: "pass the next of the page before as it is, or none for the first page"})
}

// page is what the answer says beside its items.
func (s *Server) page(next string, total int) rest.Page {
	return moment{s.View, s.Clock()}.page(next, total)
}

func (m moment) page(next string, total int) rest.Page {
	sequence, _ := m.Position()
	return rest.Page{AsOf: m.now.UTC(), Sequence: sequence, Next: next, Total: total}
}

package survey

import "fmt"

// Bounded is a report whose JSON and Markdown together take at most size bytes, and both. Of lists
// that are too long the beginning is kept, the longest list first, and Cut says how much. An error
// says that the report does not fit even without lists.
func (r Report) Bounded(size int) (report Report, asJSON []byte, asMarkdown string, err error) {
	for more := true; ; {
		asJSON, err = r.JSON()
		if err != nil {
			return Report{}, nil, "", err
		}
		asMarkdown = r.Markdown()
		switch {
		case len(asJSON)+len(asMarkdown) <= size:
			return r, asJSON, asMarkdown, nil
		case !more:
			return Report{}, nil, "", fmt.Errorf("cut report: it has more than %d bytes without any list", size)
		}
		r, more = r.halved()
	}
}

// list is a list of a report that may be cut.
type list struct {
	name string
	have int
	keep func(int)
}

// halved keeps the first half of the longest list; false when all are empty.
func (r Report) halved() (Report, bool) {
	lists := []list{
		{"unowned", len(r.Unowned), func(n int) { r.Unowned = r.Unowned[:n] }},
		{"managers", len(r.Managers), func(n int) { r.Managers = r.Managers[:n] }},
		{"contested", len(r.Contested), func(n int) { r.Contested = r.Contested[:n] }},
		{"removedAPIs", len(r.RemovedAPIs), func(n int) { r.RemovedAPIs = r.RemovedAPIs[:n] }},
		{"missingRights", len(r.MissingRights), func(n int) { r.MissingRights = r.MissingRights[:n] }},
		{"conflicts", len(r.Conflicts), func(n int) { r.Conflicts = r.Conflicts[:n] }},
		{"notTried", len(r.NotTried), func(n int) { r.NotTried = r.NotTried[:n] }},
	}
	if r.Flux != nil {
		flux := *r.Flux
		r.Flux = &flux
		lists = append(lists, list{"flux.sources", len(flux.Sources), func(n int) { r.Flux.Sources = r.Flux.Sources[:n] }})
	}
	if r.TakeOver != nil {
		t := *r.TakeOver
		r.TakeOver = &t
		lists = append(lists, list{"takeOver.objects", len(t.Objects), func(n int) { r.TakeOver.Objects = t.Objects[:n] }},
			list{"takeOver.conflicts", len(t.Conflicts), func(n int) { r.TakeOver.Conflicts = t.Conflicts[:n] }})
	}
	longest := lists[0]
	for _, each := range lists {
		if each.have > longest.have {
			longest = each
		}
	}
	if longest.have == 0 {
		return r, false
	}
	kept := longest.have / 2
	longest.keep(kept)
	r.Cut = noted(r.Cut, Cut{List: longest.name, Kept: kept, Total: longest.have})
	return r, true
}

// noted is a list of cuts with another one, whose total is that before the first cut.
func noted(cuts []Cut, cut Cut) []Cut {
	out := append([]Cut{}, cuts...)
	for i := range out {
		if out[i].List == cut.List {
			out[i].Kept = cut.Kept
			return out
		}
	}
	return append(out, cut)
}

// Package survey says what a cluster that came from elsewhere already runs: which Kubernetes, whose
// objects, what nobody keeps, and what would clash if Fairway were to manage it.
//
// Look observes: it lists metadata of all kinds, page by page, and asks what its account may do. It
// sends GET requests and SelfSubjectAccessReviews, which are stored nowhere, so the cluster is after
// it what it was before. It never reads a Secret's data: of Secrets it lists only Helm's own records,
// and of those the labels. Assess is a pure function from what was observed to a Report, which has
// the shape of its JSON and renders as Markdown.
package survey

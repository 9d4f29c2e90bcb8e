package rest

import "time"

// UnownedList is the body of GET /api/v1/unowned: workloads and Flux objects that belong to no team,
// ordered by cluster and object.
type UnownedList struct {
	Page
	Items []Unowned `json:"items"`
}

// Unowned is an object that nobody owns: no label of it, of its pod template or of the Flux objects
// above it names a team, its namespace is not the platform's, and its cluster has no default.
type Unowned struct {
	Cluster     string    `json:"cluster"`
	Environment string    `json:"environment,omitempty"`
	Cloud       string    `json:"cloud,omitempty"`
	Object      string    `json:"object"`          // <Kind>/<namespace>/<name>
	Owner       string    `json:"owner,omitempty"` // the Flux object that applied it, where a label would do for all of it
	Status      Status    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	Service     string    `json:"service,omitempty"` // some say what they are, and not whose
	Images      []string  `json:"images,omitempty"`
	Since       time.Time `json:"since,omitzero"` // of the status
	AsOf        time.Time `json:"asOf,omitzero"`  // the cluster's last heartbeat
}

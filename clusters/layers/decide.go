package layers

import (
	"bytes"
	"fmt"
	"io/fs"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Scan gives the uses of variables in a folder, as Uses does.
type Scan func(folder string) ([]Use, error)

// Decision is what is to be done about a cluster's file.
type Decision struct {
	Plan    Plan
	Content []byte // what the file should be
	State   State  // of the file that is there
	Differs bool   // it is not there, or not as it should be
	Missing []Use  // what Flux would refuse on the cluster
	Left    bool   // a kustomization file beside it leaves it out
}

// Decide holds the repository against what the Fleet wants of a cluster. Errors wrap ErrFolder or
// ErrInvalid, or tell of a repository that cannot be read.
func Decide(cluster Cluster, all []fleetv1.Layer, values map[string]string, repository fs.FS, scan Scan) (Decision, error) {
	var d Decision
	var err error
	if d.Plan, err = New(cluster, all, repository); err != nil {
		return d, err
	}
	for _, folder := range d.Plan.Folders(repository) {
		uses, err := scan(folder)
		if err != nil {
			return d, err
		}
		d.Missing = append(d.Missing, Missing(uses, values)...)
	}
	if d.Content, err = d.Plan.File(); err != nil {
		return d, err
	}
	have, state, err := Read(repository, cluster.ID)
	if err != nil {
		return d, err
	}
	// A cluster without layers needs no file; one that it had is emptied, so that they go.
	d.State, d.Differs = state, !bytes.Equal(have, d.Content) && (state != Absent || len(d.Plan.Layers) > 0)
	included, err := Included(repository, cluster.ID, FileName)
	d.Left = !included && len(d.Plan.Layers) > 0
	return d, err
}

// Problems say what keeps the file from being written, or from coming to anything; none: nothing does.
func (d Decision) Problems() []string {
	var out []string
	for _, use := range d.Missing {
		if use.Variable == "" {
			out = append(out, use.String())
			continue
		}
		out = append(out, "no value for "+use.String())
	}
	path := Path(d.Plan.ClusterID)
	switch {
	case d.State == Edited:
		out = append(out, path+" was edited by hand and is left alone; delete it to have it written anew")
	case d.State == Foreign:
		out = append(out, path+" was not written by Fairway and is left alone; move what is in it to another file, and delete it")
	case d.Left && !d.Differs:
		out = append(out, fmt.Sprintf("a kustomization file in %s does not list %s, so that the cluster gets no layers; add it to its resources",
			ClusterFolder(d.Plan.ClusterID), FileName))
	}
	return out
}

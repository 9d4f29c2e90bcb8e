// Package pointers is what releases write to the config repository: an artifact's files, once, and for each cluster a
// pointer, the Flux Kustomization that says which artifact of a service it runs. It reads them back, and writes the
// commit's message. It is pure: it sees the repository as an fs.FS, and gives edits for the writer.
package pointers

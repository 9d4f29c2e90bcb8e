// Package layers decides which of the platform's layers a cluster gets, and from which folders of the config
// repository; renders the file of the repository that says so; and finds the substitution variables that manifests use
// and a cluster lacks. It is pure: it sees the repository as an fs.FS.
package layers

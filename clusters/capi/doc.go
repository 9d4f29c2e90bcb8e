// Package capi reads Cluster API: Clusters, their kubeconfigs, and what their providers say of the
// cloud. It is the only importer of Cluster API's types; objects of providers are read as
// unstructured, and one that Fairway has never heard of is no error. It works, and says so, where
// Cluster API is not installed.
package capi

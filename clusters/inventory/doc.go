// Package inventory renders clusters as ClusterProfiles of the Cluster Inventory API, which other tools read. Its kinds
// are written as unstructured: what is needed of them is small, and they are there on few platforms.
package inventory

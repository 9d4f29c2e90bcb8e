// Package blueprint renders what a new cluster is ordered with: the Cluster API objects of an EKS cluster
// (Cluster API's AWS provider) or of an AKS cluster (its Azure provider, with the objects of the Azure Service
// Operator in it), with one pool of nodes, and the labels by which the cluster joins the fleet. It is pure:
// nothing is applied, and no cloud is asked whether a region, a version or a machine type exists.
package blueprint

// Package cloud holds stand-ins for AWS and Azure: the parts of a fleet that a machine without the
// internet cannot have.
//
// A stand-in plays the provider behind the real CRDs of Cluster API's AWS and Azure providers (CAPA,
// CAPZ). It follows AWSManagedControlPlanes or AzureASOManagedControlPlanes on the platform cluster;
// behind each that Cluster API has adopted it starts a real Kubernetes cluster, writes the endpoint
// and the statuses of Cluster API's contract v1beta1, and the Secret <name>-kubeconfig. The bearer
// token in that Secret expires and is replaced at half its life, as EKS's is every 15 minutes; an
// expired token is really refused, since the cluster's API server checks it against the stand-in's
// OpenID Connect issuer (up to 10 s later: API servers cache what they accepted).
//
// Everything else about a cloud (networks, machines, prices, accounts) is not stood in for.
package cloud

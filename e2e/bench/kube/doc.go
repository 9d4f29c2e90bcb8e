// Package kube runs whole Kubernetes clusters on this machine: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler as processes, and a process node for the pods, all on
// 127.0.0.1.
//
// A cluster's folder holds everything it is: pki/, etcd/, kubeconfig (of its administrator), and
// node/ with the logs of every container. Stop ends its processes, as a dead cluster would; Resume
// starts it again on the same ports with the same data.
package kube

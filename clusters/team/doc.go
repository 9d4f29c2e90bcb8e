// Package team makes what a team needs on a workload cluster: a namespace of its name, the service account that Flux
// applies the team's services as, and that account's rights, which end with the namespace.
//
// What every team may is the ClusterRole RoleName, kinds that services consist of. Definitions that a platform adds are
// not in it: ClusterRoles with the label LabelAggregate give rights to every team's account, through RoleMore. Neither is
// ever bound but in teams' namespaces.
package team

// Package adopt makes the account that Fairway works with on a cluster that came from elsewhere: a
// service account with the rights that are needed there and no others, and a kubeconfig of it that
// ends. Who is administrator there brings it about once; from then on the account renews its own
// token.
package adopt

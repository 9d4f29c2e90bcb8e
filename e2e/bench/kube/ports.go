package kube

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken below Linux's range for outgoing connections (32768 and up), so that a cluster
// that is stopped finds its ports free again.
const (
	firstPort = 15000
	lastPort  = 32000
)

// given are the ports that this process has handed out: two clusters that start at once must not
// get the same.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// FreePort returns a port of 127.0.0.1 that nobody listens on and that was not returned before.
func FreePort() (int, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if given.ports[port] || !isFree(port) {
			continue
		}
		given.ports[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: none of 1000 between %d and %d", firstPort, lastPort)
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// ports of one cluster.
type ports struct {
	etcd, etcdPeer, apiserver, controllers, scheduler, node int
}

func newPorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.apiserver, &p.controllers, &p.scheduler, &p.node} {
		free, err := FreePort()
		if err != nil {
			return ports{}, err
		}
		*port = free
	}
	return p, nil
}

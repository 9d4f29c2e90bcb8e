package gitrepo

import (
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Azure DevOps and AWS CodeCommit serve nobody who does not speak multi_ack, which go-git leaves out by
// itself since it knows half of it; Flux, which reads the same repositories, has it as here.
func init() {
	transport.UnsupportedCapabilities = []capability.Capability{capability.ThinPack}
}

// Package sandbox starts the processes of containers.
//
// A container is a process in mount, pid, uts and ipc namespaces of its own and in the network namespace of its pod. Its
// root is a fresh tmpfs with the host's programs and libraries bound in read-only, and the pod's volumes at their paths.
// All of this belongs to the process: nothing is mounted outside it, and nothing needs to be undone.
//
// The node's program starts itself again under the names in Main, to set a container up and then become its program.
package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Spec is everything a container's first process is told.
type Spec struct {
	// Root is an empty folder that the root is mounted on, unseen from outside.
	Root string
	// Hostname is the pod's host name.
	Hostname string
	// Dir is the working directory, "/" when empty.
	Dir string
	// Files are small files of the root, by absolute path: /etc/hosts and the like.
	Files map[string]string
	// Mounts are the program and the pod's volumes.
	Mounts []Mount
	// Argv is the command line. A program without a slash is looked for in the PATH of Env.
	Argv []string
	Env  []string
	User User
	// ReadOnly makes the root unwritable; mounts have their own say.
	ReadOnly bool
}

// Mount binds a file or folder of the host into the root.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// User is who a process runs as.
type User struct {
	UID, GID int
	// Groups are the supplementary groups.
	Groups []int
	// Keep leaves the process as the user that the node runs as, for user namespaces that have no other.
	Keep bool
}

// Groups of file descriptors that a helper process gets besides its standard ones.
const (
	specFD  = 3 // Spec as JSON, to its end
	errorFD = 4 // what went wrong; closed without a word once the program runs
)

func readSpec() (Spec, error) {
	var s Spec
	file := os.NewFile(specFD, "spec")
	if err := json.NewDecoder(file).Decode(&s); err != nil {
		return s, fmt.Errorf("read container spec: %w", err)
	}
	return s, file.Close()
}

// SingleUser says whether the text of /proc/self/uid_map maps one user only, as in a user namespace that an ordinary user
// made: no process in it can become another user, and no file can be given to one.
func SingleUser(uidMap string) bool {
	total := 0
	for line := range strings.Lines(uidMap) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return false
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return false
		}
		total += n
	}
	return total == 1
}

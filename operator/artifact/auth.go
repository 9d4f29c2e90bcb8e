package artifact

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Auth is what a registry is shown that wants to know who asks. The zero value is nobody.
type Auth struct {
	// of gives the credentials for a host, to be used below a path of it.
	of func(host, path string) (auth.CredentialFunc, error)
}

// DockerFile is the credentials that docker login keeps, with its helpers. A file that is not there has none; of one that
// cannot be read the error says so.
func DockerFile(name string) (Auth, error) {
	store, err := credentials.NewStore(name, credentials.StoreOptions{})
	if err != nil {
		return Auth{}, fmt.Errorf("read registry credentials: %w", err)
	}
	return Auth{of: func(string, string) (auth.CredentialFunc, error) { return credentials.Credential(store), nil }}, nil
}

// DockerConfig is the credentials in a Secret of type kubernetes.io/dockerconfigjson: the value of its key
// ".dockerconfigjson". As for images, an entry may be for a host or for a path of it, and the longest one that matches
// counts. The error wraps ErrInvalid.
func DockerConfig(secret []byte) (Auth, error) {
	var config struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal(secret, &config); err != nil {
		// The parser's own words could hold what is in the Secret.
		return Auth{}, fmt.Errorf("read registry credentials: %w: it is not the JSON of a dockerconfigjson Secret", ErrInvalid)
	}
	return Auth{of: func(host, path string) (auth.CredentialFunc, error) {
		entry := longest(config.Auths, host, path)
		if entry == nil {
			return nil, nil
		}
		return only(host, entry)
	}}, nil
}

// dockerHub is the host that answers for docker.io.
const dockerHub = "registry-1.docker.io"

// longest is the entry of the longest address that a path of a host is at or below; nil: there is none.
func longest(entries map[string]json.RawMessage, host, path string) json.RawMessage {
	wanted, best := strings.TrimRight(host+"/"+path, "/")+"/", ""
	var found json.RawMessage
	for key, entry := range entries {
		address := strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
		if host == dockerHub && (address == "docker.io" || strings.HasPrefix(address, "index.docker.io")) {
			address = host
		}
		address = strings.TrimRight(address, "/") + "/"
		// Several keys can have the same address; the first by name counts, so that it is always the same.
		if strings.HasPrefix(wanted, address) && (len(address) > len(best) || len(address) == len(best) && string(entry) < string(found)) {
			best, found = address, entry
		}
	}
	return found
}

// only is the credentials of an entry, for one host, as oras reads them.
func only(host string, entry json.RawMessage) (auth.CredentialFunc, error) {
	invalid := fmt.Errorf("read registry credentials: %w: the entry for %s in the dockerconfigjson Secret cannot be read", ErrInvalid, host)
	one, err := json.Marshal(map[string]any{"auths": map[string]json.RawMessage{host: entry}})
	if err != nil {
		return nil, invalid
	}
	store, err := credentials.NewMemoryStoreFromDockerConfig(one)
	if err != nil {
		return nil, invalid
	}
	return func(ctx context.Context, asks string) (auth.Credential, error) {
		if asks != host {
			return auth.EmptyCredential, nil
		}
		return store.Get(ctx, host)
	}, nil
}

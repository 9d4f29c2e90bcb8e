package gitrepo

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownHosts are the lines of a known_hosts file. The libraries that read it want a file; the
// operator has a Secret and no file system to write.
type knownHosts []hostLine

type hostLine struct {
	patterns []string
	key      ssh.PublicKey
	revoked  bool
}

// parseKnownHosts reads OpenSSH's format: names, [names]:port, wildcards, negations, hashed names and
// revoked keys. Certificate authorities of hosts are not supported and left out.
func parseKnownHosts(data []byte) (knownHosts, error) {
	var out knownHosts
	for {
		marker, patterns, key, _, rest, err := ssh.ParseKnownHosts(data)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not in the format of known_hosts: %w", err)
		}
		data = rest
		if marker != "cert-authority" {
			out = append(out, hostLine{patterns: patterns, key: key, revoked: marker == "revoked"})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("it names no host; fill it with the output of ssh-keyscan")
	}
	return out, nil
}

// check is an ssh.HostKeyCallback.
func (k knownHosts) check(address string, _ net.Addr, key ssh.PublicKey) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("read address of %s: %w", address, err)
	}
	known := false
	for _, line := range k {
		same := bytes.Equal(line.key.Marshal(), key.Marshal())
		if same && line.revoked {
			return fmt.Errorf("the key of %s is revoked in known_hosts", host)
		}
		known = known || (same && line.matches(host, port))
	}
	if !known {
		return fmt.Errorf("the %s key of %s is not in known_hosts; check it, then add it", key.Type(), host)
	}
	return nil
}

// algorithms are those of the keys that are known of a host, so that it offers one of these.
func (k knownHosts) algorithms(host, port string) []string {
	var out []string
	for _, line := range k {
		if line.revoked || !line.matches(host, port) {
			continue
		}
		for _, algorithm := range keyAlgorithms(line.key.Type()) {
			if !slices.Contains(out, algorithm) {
				out = append(out, algorithm)
			}
		}
	}
	return out
}

// keyAlgorithms are the signatures that a key can make: RSA keys sign with newer hashes too.
func keyAlgorithms(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{keyType}
}

func (l hostLine) matches(host, port string) bool {
	name := host
	if port != "22" {
		name = "[" + host + "]:" + port
	}
	found := false
	for _, pattern := range l.patterns {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !matchHost(pattern, name) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

func matchHost(pattern, name string) bool {
	if salted, ok := strings.CutPrefix(pattern, "|1|"); ok {
		return matchHashed(salted, name)
	}
	// Brackets are literal in known_hosts, and classes to path.Match.
	pattern = strings.NewReplacer("[", `\[`, "]", `\]`).Replace(pattern)
	matched, err := path.Match(pattern, name)
	return err == nil && matched
}

// matchHashed compares with "<salt>|<HMAC-SHA1 of the name>", both in base64.
func matchHashed(salted, name string) bool {
	saltText, hashText, ok := strings.Cut(salted, "|")
	if !ok {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(saltText)
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(hashText)
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return hmac.Equal(mac.Sum(nil), want)
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fairway-dev/fairway/fleet/bus"
)

const secretEvery = 3 * time.Second // the kubelet brings a changed Secret within a minute or so

// needed are the files without which no hub starts; those of the embedded bus may be missing when
// another bus is used.
var needed = []string{"hub.creds", "tls.crt", "tls.key", "ca.crt"}

// secret is the mounted Secret fairway-hub. Its certificate and account change under a running hub.
type secret struct {
	dir     string
	pair    string // what certificate was made from
	current atomic.Pointer[tls.Certificate]
}

func readSecret(dir string) (*secret, error) {
	s := &secret{dir: dir}
	for _, name := range needed {
		if _, err := os.Stat(s.path(name)); err != nil {
			return nil, fmt.Errorf("read %s: %w (the operator writes the Secret fairway-hub)", name, err)
		}
	}
	if _, err := s.refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *secret) path(name string) string { return filepath.Join(s.dir, name) }

// text is the content of a file, or "" where there is none.
func (s *secret) text(name string) string {
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// settings are what the Fleet says of the hub, in the operator's words; empty where it says nothing.
func (s *secret) settings() (retention, misses string) {
	return s.text("retention"), s.text("heartbeat-misses")
}

// applySettings puts the Fleet's settings over those of the flags.
func (o *options) applySettings(s *secret) error {
	retention, misses := s.settings()
	var err error
	if retention != "" {
		if o.retention, err = time.ParseDuration(retention); err != nil {
			return fmt.Errorf("read retention: %w", err)
		}
	}
	if misses != "" {
		if o.misses, err = strconv.Atoi(misses); err != nil {
			return fmt.Errorf("read heartbeat-misses: %w", err)
		}
	}
	return nil
}

// errSettings ends a hub whose Fleet has changed its settings; Kubernetes starts it again with the new ones.
var errSettings = errors.New("the Fleet's settings have changed: starting again")

// refresh reads the certificate again; changed is true when it is another one.
func (s *secret) refresh() (changed bool, err error) {
	cert, key := s.text("tls.crt"), s.text("tls.key")
	if cert+key == s.pair {
		return false, nil
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		return false, fmt.Errorf("read certificate: %w", err)
	}
	s.pair = cert + key
	s.current.Store(&pair)
	return true, nil
}

// certificate is the newest that was read, for every handshake.
func (s *secret) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := s.current.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("no certificate yet")
}

// followSecret puts a renewed certificate and a changed account into force. What cannot be used is
// logged once, and the one before stays.
func (h *hub) followSecret(ctx context.Context, embedded *bus.Server) error {
	tick := time.NewTicker(secretEvery)
	defer tick.Stop()
	account, complaint := h.secret.text("account.jwt"), ""
	retention, misses := h.secret.settings()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if r, m := h.secret.settings(); r != retention || m != misses {
			return errSettings
		}
		changed, err := h.secret.refresh()
		if changed {
			h.log.Info("certificate renewed")
		}
		if now := h.secret.text("account.jwt"); embedded != nil && now != account && now != "" {
			if failed := embedded.UpdateAccount(now); failed != nil {
				err = errors.Join(err, failed)
			} else {
				account = now
				h.log.Info("account updated: revoked users are disconnected")
			}
		}
		if err != nil && err.Error() != complaint {
			h.log.Error(err, "cannot use the changed secret")
		}
		complaint = ""
		if err != nil {
			complaint = err.Error()
		}
	}
}

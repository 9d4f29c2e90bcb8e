package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"
)

// errBranchMoved: the branch is not at the commit that was built on.
var errBranchMoved = errors.New("the branch has moved")

// push moves a branch from the commit old to the commit new, whose objects are those of fresh. The
// server does it only while the branch is at old: it is never forced. errBranchMoved says that it is
// not; other errors wrap those of this package.
func push(ctx context.Context, to Remote, old, new plumbing.Hash, fresh *objects) error {
	said := &words{}
	report, err := within(ctx, func() (*packp.ReportStatus, error) { return send(ctx, to, old, new, fresh, said) })
	switch {
	case errors.Is(err, errBranchMoved):
		return err
	case report != nil && report.Error() != nil:
		return refused(to, said.join(reason(report)))
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return refused(to, "the credentials may not write: check what the Fleet's writeSecretRef may do")
	case err != nil:
		return explain(to.URL, err)
	}
	return nil
}

func refused(to Remote, why string) error {
	return fmt.Errorf("%w: %s, branch %s: %s", ErrRefused, redact(to.URL), to.Branch, why)
}

// send is the conversation with git receive-pack. A report tells of a push that the server looked at.
func send(ctx context.Context, to Remote, old, new plumbing.Hash, fresh *objects, said *words) (_ *packp.ReportStatus, err error) {
	session, err := to.connect()
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := session.Close(); err == nil && closed != nil && !errors.Is(closed, io.EOF) {
			err = fmt.Errorf("end push: %w", closed)
		}
	}()
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, err
	}
	if advertised.References[to.ref().String()] != old {
		return nil, errBranchMoved
	}
	request := packp.NewReferenceUpdateRequestFromCapabilities(advertised.Capabilities)
	if advertised.Capabilities.Supports(capability.Sideband64k) {
		if err := request.Capabilities.Set(capability.Sideband64k); err != nil {
			return nil, err
		}
		request.Progress = said
	}
	request.Commands = []*packp.Command{{Name: to.ref(), Old: old, New: new}}
	pack, err := fresh.pack(!advertised.Capabilities.Supports(capability.OFSDelta))
	if err != nil {
		return nil, err
	}
	request.Packfile = io.NopCloser(pack)
	return session.ReceivePack(ctx, request)
}

// pack is the objects of its own as a packfile.
func (o *objects) pack(refDeltas bool) (*bytes.Buffer, error) {
	store := memory.NewStorage()
	hashes := make([]plumbing.Hash, 0, len(o.own))
	for hash, obj := range o.own {
		if _, err := store.SetEncodedObject(obj); err != nil {
			return nil, fmt.Errorf("pack %s: %w", hash, err)
		}
		hashes = append(hashes, hash)
	}
	out := &bytes.Buffer{}
	if _, err := packfile.NewEncoder(out, store, refDeltas).Encode(hashes, 0); err != nil {
		return nil, fmt.Errorf("pack objects: %w", err)
	}
	return out, nil
}

// reason is what a server says of a push that it refused.
func reason(report *packp.ReportStatus) string {
	for _, command := range report.CommandStatuses {
		if command.Error() != nil {
			return command.Status
		}
	}
	return report.UnpackStatus
}

// words is what hooks on the server print, up to a bound.
type words struct{ bytes.Buffer }

const maxWords = 2 << 10

// Write keeps what there is room for.
func (w *words) Write(p []byte) (int, error) {
	if room := maxWords - w.Len(); room > 0 {
		w.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// join is a reason, and the server's words on one line.
func (w *words) join(reason string) string {
	var lines []string
	for line := range strings.FieldsFuncSeq(w.String(), func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(line, "")))
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return reason
	}
	return reason + ": " + strings.Join(lines, "; ")
}

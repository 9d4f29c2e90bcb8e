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
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// errBranchMoved: the branch is not at the commit that was built on.
var errBranchMoved = errors.New("the branch has moved")

// pushing is a push that has begun: the server has said where the branch is.
type pushing struct {
	to           Remote
	head         plumbing.Hash // of the branch; zero: it is not there
	session      transport.ReceivePackSession
	capabilities *capability.List
}

// begin begins a push. Errors wrap those of this package. What is returned is to be ended in any case.
func begin(ctx context.Context, to Remote) (*pushing, error) {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	p, err := within(ctx, func() (*pushing, error) {
		session, err := to.connect()
		if err != nil {
			return nil, err
		}
		p := &pushing{to: to, session: session}
		advertised, err := session.AdvertisedReferencesContext(ctx)
		if err = errors.Join(err, ctx.Err()); err != nil {
			p.end()
			return nil, err
		}
		p.head, p.capabilities = advertised.References[to.ref().String()], advertised.Capabilities
		return p, nil
	})
	switch {
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return &pushing{}, refused(to, "the credentials may not write: check what the Fleet's writeSecretRef may do")
	case err != nil:
		return &pushing{}, explain(to.URL, err)
	}
	return p, nil
}

// end ends a push. Of one that nothing was sent with there is nothing to be told.
func (p *pushing) end() {
	if p.session != nil {
		p.session.Close()
		p.session = nil
	}
}

// send moves the branch from the commit old to the commit new, whose objects are those of fresh. The
// server does it only while the branch is at old: it is never forced. errBranchMoved says that it is
// not; other errors wrap those of this package. It can be called again.
func (p *pushing) send(ctx context.Context, old, new plumbing.Hash, fresh *objects) error {
	if p.head != old && !p.to.stateless() {
		// The server remembers what it said, and begins anew.
		p.end()
		again, err := begin(ctx, p.to)
		if err != nil {
			return err
		}
		if *p = *again; p.head != old {
			return errBranchMoved
		}
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	said, now := &words{}, *p // which stays as it is, should this not be waited for
	report, err := within(ctx, func() (*packp.ReportStatus, error) { return now.receive(ctx, old, new, fresh, said) })
	switch {
	case report != nil && report.Error() != nil:
		return refused(p.to, said.join(reason(report)))
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return refused(p.to, "the credentials may not write: check what the Fleet's writeSecretRef may do")
	case err != nil:
		return explain(p.to.URL, err)
	}
	return nil
}

func refused(to Remote, why string) error {
	return fmt.Errorf("%w: %s, branch %s: %s", ErrRefused, redact(to.URL), to.Branch, why)
}

// receive is the rest of the conversation with git receive-pack. A report tells of a push that the server looked at.
func (p pushing) receive(ctx context.Context, old, new plumbing.Hash, fresh *objects, said *words) (_ *packp.ReportStatus, err error) {
	request := packp.NewReferenceUpdateRequestFromCapabilities(p.capabilities)
	if p.capabilities.Supports(capability.Sideband64k) {
		if err := request.Capabilities.Set(capability.Sideband64k); err != nil {
			return nil, err
		}
		request.Progress = said
	}
	request.Commands = []*packp.Command{{Name: p.to.ref(), Old: old, New: new}}
	pack, err := fresh.pack()
	if err != nil {
		return nil, err
	}
	request.Packfile = io.NopCloser(pack)
	report, err := p.session.ReceivePack(ctx, request)
	if closed := p.session.Close(); err == nil && closed != nil && !errors.Is(closed, io.EOF) {
		err = fmt.Errorf("end push: %w", closed)
	}
	return report, err
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

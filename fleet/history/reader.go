package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"weak"
)

// reader reads events by seq and keeps the blocks that it used last: neighbours share them.
type reader struct {
	file   *file
	blocks []*unpacked
}

// unpacked is a block with its events. It does not change.
type unpacked struct {
	first, last int64
	events      []stored
}

const keptBlocks = 16

func (r *reader) find(ctx context.Context, seq int64) (stored, error) {
	b, err := r.block(ctx, seq)
	if err != nil {
		return stored{}, fmt.Errorf("read event %d: %w", seq, err)
	}
	at, ok := slices.BinarySearchFunc(b.events, seq, func(s stored, seq int64) int { return cmp.Compare(s.seq, seq) })
	if !ok {
		return stored{}, fmt.Errorf("read event %d: %w", seq, errBlock)
	}
	return b.events[at], nil
}

// block is the one that has the seq.
func (r *reader) block(ctx context.Context, seq int64) (*unpacked, error) {
	for _, b := range r.blocks {
		if b.has(seq) {
			return b, nil
		}
	}
	b := r.file.recent.find(seq)
	if b == nil {
		var err error
		if b, err = r.file.block(ctx, seq); err != nil {
			return nil, err
		}
		r.file.recent.add(b)
	}
	if len(r.blocks) == keptBlocks {
		r.blocks = r.blocks[1:]
	}
	r.blocks = append(r.blocks, b)
	return b, nil
}

func (b *unpacked) has(seq int64) bool { return b.first <= seq && seq <= b.last }

// block reads the block that has the seq from the file.
func (f *file) block(ctx context.Context, seq int64) (*unpacked, error) {
	b := &unpacked{}
	var since int64
	var data []byte
	if err := f.blockOf.QueryRowContext(ctx, seq).Scan(&b.first, &b.last, &since, &data); err != nil {
		return nil, err
	}
	var err error
	b.events, err = f.unpack.unpack(b.first, since, data)
	return b, err
}

// recent are the blocks that were unpacked last, until the garbage is collected: nothing is held for their sake. Who
// asks what is new asks for the same ones, whatever the team. It is safe for concurrent use.
type recent struct {
	mu     sync.Mutex
	blocks []seenBlock // the newest at the end
}

type seenBlock struct {
	first, last int64
	block       weak.Pointer[unpacked]
}

// recentBlocks are those of several thousand events: a page of one team among fifty is spread over so many. With fewer than a page needs,
// each page would drop what the next one begins with, and find nothing.
const recentBlocks = 256

// find is nil when the block of the seq is not here.
func (r *recent) find(seq int64) *unpacked {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range slices.Backward(r.blocks) {
		if b.first <= seq && seq <= b.last {
			return b.block.Value()
		}
	}
	return nil
}

func (r *recent) add(b *unpacked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks = slices.DeleteFunc(r.blocks, func(s seenBlock) bool { return s.first == b.first })
	if len(r.blocks) == recentBlocks {
		r.blocks = slices.Delete(r.blocks, 0, 1)
	}
	r.blocks = append(r.blocks, seenBlock{b.first, b.last, weak.Make(b)})
}

package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/fairway-dev/fairway/api/event"
)

// blockSize is how many bytes of events are compressed together: enough for what repeats between
// them, little enough to unpack for one of them.
const blockSize = 64 << 10

// block is a run of events in the making: seq, when the bus had it, and the event as published.
type block struct {
	first, last  int64
	since, until int64 // UnixNano
	raw          []byte
}

func (b *block) empty() bool { return len(b.raw) == 0 }

func (b *block) add(seq, stored int64, data []byte) {
	if b.empty() {
		b.first, b.since = seq, stored
	}
	b.raw = binary.AppendUvarint(b.raw, uint64(seq-b.first))
	b.raw = binary.AppendVarint(b.raw, stored-b.since)
	b.raw = binary.AppendUvarint(b.raw, uint64(len(data)))
	b.raw = append(b.raw, data...)
	b.last, b.until = seq, stored
}

// packer compresses blocks; it belongs to one goroutine.
type packer struct{ zstd *zstd.Encoder }

func newPacker() (*packer, error) {
	// The window is kept in memory for ever; one as large as a block finds all that a block repeats.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(2*blockSize))
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	return &packer{e}, nil
}

func (p *packer) pack(raw []byte) []byte { return p.zstd.EncodeAll(raw, make([]byte, 0, len(raw)/8)) }

// unpacker is safe for concurrent use.
type unpacker struct{ zstd *zstd.Decoder }

func newUnpacker() (*unpacker, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return nil, fmt.Errorf("make decompressor: %w", err)
	}
	return &unpacker{d}, nil
}

// maxUnpacked bounds what anything in the file can unpack to: a checkpoint of a large fleet is the largest.
const maxUnpacked = 1 << 30

// stored is one event of a block.
type stored struct {
	seq  int64
	at   time.Time // when the bus had it
	data []byte
}

var errBlock = errors.New("a block of events cannot be read")

// unpack reads a block that begins at first and since.
func (u *unpacker) unpack(first, since int64, data []byte) ([]stored, error) {
	raw, err := u.zstd.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBlock, err)
	}
	var out []stored
	for len(raw) > 0 {
		seq, n := binary.Uvarint(raw)
		if n <= 0 {
			return nil, errBlock
		}
		after, m := binary.Varint(raw[n:])
		if m <= 0 {
			return nil, errBlock
		}
		size, k := binary.Uvarint(raw[n+m:])
		raw = raw[min(len(raw), n+m+max(0, k)):]
		if k <= 0 || size > uint64(len(raw)) || size > event.MaxSize {
			return nil, errBlock
		}
		out = append(out, stored{first + int64(seq), time.Unix(0, since+after).UTC(), raw[:size:size]})
		raw = raw[size:]
	}
	return out, nil
}

package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"
)

// pack is the objects of its own as a packfile: gitformat-pack(5). None is sent as a difference to another, although most are
// folders with one entry changed: git index-pack takes four times as long to put those together, and somebody else's push
// may get in between.
func (o *objects) pack() (*bytes.Buffer, error) {
	out := &bytes.Buffer{}
	out.WriteString("PACK")
	out.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 2), uint32(len(o.own))))
	squeeze, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("pack objects: %w", err)
	}
	for hash, found := range o.own {
		text, err := content(found)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", hash, err)
		}
		out.Write(entryHead(found.Type(), len(text)))
		squeeze.Reset(out)
		_, err = squeeze.Write(text)
		if err = errors.Join(err, squeeze.Close()); err != nil {
			return nil, fmt.Errorf("pack %s: %w", hash, err)
		}
	}
	sum := sha1.Sum(out.Bytes())
	out.Write(sum[:])
	return out, nil
}

// entryHead is an object's kind and size: four bits of it, then seven in each byte, the lowest first.
func entryHead(kind plumbing.ObjectType, size int) []byte {
	out := []byte{byte(kind)<<4 | byte(size&0xf)}
	for size >>= 4; size > 0; size >>= 7 {
		out[len(out)-1] |= 0x80
		out = append(out, byte(size&0x7f))
	}
	return out
}

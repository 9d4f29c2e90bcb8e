package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a packed artifact.
const (
	maxLayer   = 10 << 20         // bytes, compressed
	maxArchive = MaxTotal + 8<<20 // bytes, not compressed: headers take up to 4 KiB a file
	maxEntries = 2 * MaxFiles     // files and folders
)

// pack makes the layer of files, and the digest of what is compressed in it. Nothing depends on the time or the machine;
// the compression may be another one with another Go.
func pack(files Files) (layer []byte, content string, err error) {
	var out bytes.Buffer
	sum := sha256.New()
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(io.MultiWriter(zipped, sum))
	for _, name := range files.Paths() {
		header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, "", fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, "", fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return nil, "", fmt.Errorf("pack: %w", err)
	}
	if out.Len() > maxLayer {
		return nil, "", fmt.Errorf("%w: the files have %d bytes when compressed, more than %d", ErrTooLarge, out.Len(), maxLayer)
	}
	return out.Bytes(), fmt.Sprintf("sha256:%x", sum.Sum(nil)), nil
}

// unpack reads the files of a layer, which may be anybody's, and the digest of what is compressed in it. Nothing is written
// anywhere. Errors wrap ErrTooLarge or ErrInvalid.
func unpack(layer []byte) (files Files, content string, err error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		return nil, "", fmt.Errorf("%w: unzip: %w", ErrInvalid, err)
	}
	bounded := &io.LimitedReader{R: unzipped, N: maxArchive + 1}
	sum := sha256.New()
	in := io.TeeReader(bounded, sum)
	files, err = readArchive(tar.NewReader(in))
	if err == nil {
		// What follows the archive counts, and so does the checksum at the end.
		if _, err = io.Copy(io.Discard, in); err != nil {
			err = fmt.Errorf("%w: unzip: %w", ErrInvalid, err)
		}
	}
	if bounded.N <= 0 {
		return nil, "", fmt.Errorf("%w: it unpacks to more than %d bytes", ErrTooLarge, maxArchive)
	}
	if err != nil {
		return nil, "", err
	}
	return files, fmt.Sprintf("sha256:%x", sum.Sum(nil)), files.check()
}

func readArchive(archive *tar.Reader) (Files, error) {
	files := Files{}
	var total int64
	for entries := 1; ; entries++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: unpack: %w", ErrInvalid, err)
		}
		if entries > maxEntries {
			return nil, fmt.Errorf("%w: it holds more than %d files and folders", ErrTooLarge, maxEntries)
		}
		name, err := entryPath(header)
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		total += header.Size
		if err := within(name, len(files)+1, header.Size, total); err != nil {
			return nil, err
		}
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("%w: it holds %q twice", ErrInvalid, name)
		}
		if files[name], err = io.ReadAll(archive); err != nil {
			return nil, fmt.Errorf("%w: unpack %q: %w", ErrInvalid, name, err)
		}
	}
}

// entryPath is the path of a file or folder in an archive; nothing else may be there. "./" before it, and "/" after a folder,
// is how some programs write them; the root may be there as well.
func entryPath(header *tar.Header) (string, error) {
	name := strings.TrimPrefix(header.Name, "./")
	switch header.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		if name = strings.TrimSuffix(name, "/"); name == "" || name == "." {
			return ".", nil
		}
	default:
		return "", fmt.Errorf("%w: %.200q is neither file nor folder but of type %q", ErrInvalid, header.Name, header.Typeflag)
	}
	return name, checkPath(name)
}

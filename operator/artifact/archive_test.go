package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// entry is one of an archive that somebody else made.
type entry struct {
	header tar.Header
	body   string
}

func regular(name, body string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg}, body}
}

// archive makes a layer of entries.
func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	writer := tar.NewWriter(zipped)
	for _, e := range entries {
		e.header.Size = int64(len(e.body))
		if err := writer.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(writer, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(writer.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAnArchiveOfFluxIsRead(t *testing.T) {
	files, _, err := unpack(archive(t, entry{tar.Header{Name: "./", Typeflag: tar.TypeDir}, ""}, entry{tar.Header{Name: "app/", Typeflag: tar.TypeDir}, ""},
		regular("./app/a.yaml", deployment), regular("README.md", "")))
	if err != nil {
		t.Fatal(err)
	}
	same(t, Files{"app/a.yaml": []byte(deployment), "README.md": {}}, files)
}

func TestArchivesThatAreRefused(t *testing.T) {
	good := regular("a.yaml", deployment)
	link := func(kind byte) entry {
		return entry{tar.Header{Name: "b.yaml", Typeflag: kind, Linkname: "/etc/passwd"}, ""}
	}
	var files, folders, much []entry
	for i := range MaxFiles + 1 {
		files = append(files, regular(fmt.Sprintf("%d.yaml", i), deployment))
	}
	for i := range maxEntries + 1 {
		folders = append(folders, entry{tar.Header{Name: fmt.Sprintf("%d/", i), Typeflag: tar.TypeDir}, ""})
	}
	for i := range MaxTotal/MaxFile + 1 {
		much = append(much, regular(fmt.Sprintf("%d.txt", i), strings.Repeat("#", MaxFile)))
	}
	whole := archive(t, good)
	for name, c := range map[string]struct {
		layer []byte
		want  error
	}{
		"a path that climbs out":            {archive(t, good, regular("../b.yaml", "")), ErrInvalid},
		"a path that climbs out later":      {archive(t, good, regular("x/../../b.yaml", "")), ErrInvalid},
		"a path that climbs and stays in":   {archive(t, good, regular("x/../b.yaml", "")), ErrInvalid},
		"an absolute path":                  {archive(t, good, regular("/etc/b.yaml", "")), ErrInvalid},
		"a path of Windows":                 {archive(t, good, regular(`..\b.yaml`, "")), ErrInvalid},
		"Git's own folder":                  {archive(t, good, regular(".git/config", "")), ErrInvalid},
		"what tells Git of other files":     {archive(t, good, regular("x/.gitattributes", "")), ErrInvalid},
		"what tells Flux of other files":    {archive(t, good, regular(".sourceignore", "")), ErrInvalid},
		"a path that is too long":           {archive(t, good, regular(strings.Repeat("a/", maxPath/2)+"b", "")), ErrInvalid},
		"a folder that climbs out":          {archive(t, good, entry{tar.Header{Name: "../x/", Typeflag: tar.TypeDir}, ""}), ErrInvalid},
		"a symbolic link":                   {archive(t, good, link(tar.TypeSymlink)), ErrInvalid},
		"a hard link":                       {archive(t, good, link(tar.TypeLink)), ErrInvalid},
		"a device":                          {archive(t, good, link(tar.TypeChar)), ErrInvalid},
		"a pipe":                            {archive(t, good, link(tar.TypeFifo)), ErrInvalid},
		"a path twice":                      {archive(t, good, good), ErrInvalid},
		"a path twice, written differently": {archive(t, good, regular("./a.yaml", "")), ErrInvalid},
		"a file that is a folder, too":      {archive(t, good, regular("a.yaml/b.yaml", deployment)), ErrInvalid},
		"no files":                          {archive(t), ErrInvalid},
		"no archive":                        {[]byte("kind: Namespace"), ErrInvalid},
		"half of one":                       {whole[:len(whole)/2], ErrInvalid},
		"one with a wrong checksum":         {append(bytes.Clone(whole[:len(whole)-8]), 0, 0, 0, 0, 0, 0, 0, 0), ErrInvalid},
		"what comes after the archive":      {append(bytes.Clone(whole), "x"...), ErrInvalid},
		"too many files":                    {archive(t, files...), ErrTooLarge},
		"too many folders":                  {archive(t, folders...), ErrTooLarge},
		"a file that is too large":          {archive(t, regular("a.yaml", strings.Repeat("#", MaxFile+1))), ErrTooLarge},
		"files that are too large together": {archive(t, much...), ErrTooLarge},
		"100 MB of nothing after it":        {append(bytes.Clone(whole), zeros(t, 100_000_000)...), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if files, _, err := unpack(c.layer); !errors.Is(err, c.want) {
				t.Errorf("%d files, %v; want %v", len(files), err, c.want)
			}
		})
	}
}

// zeros is n zero bytes, compressed.
func zeros(t *testing.T, n int64) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	if _, err := io.CopyN(zipped, zero{}, n); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestFilesThatDoNotCompressAreTooLargeToBePushed(t *testing.T) {
	noise := make([]byte, MaxFile)
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	if _, _, err := pack(Files{"a": noise, "b": noise, "c": noise}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v is not %v", err, ErrTooLarge)
	}
}

func TestAFolderWithALinkIsRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{fs.ModeSymlink, fs.ModeDevice, fs.ModeNamedPipe} {
		files := folder(map[string]string{"a.yaml": deployment})
		files["b.yaml"] = &fstest.MapFile{Data: []byte("a.yaml"), Mode: mode | 0o777}
		_, err := Read(files)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", mode, err)
		}
		says(t, err, "b.yaml")
	}
}

// Property: what is packed is unpacked as it was, and has one digest.
func TestPackAndUnpackIsTheSame(t *testing.T) {
	part := rapid.StringMatching(`[A-Za-z0-9_.ü -]{0,40}[a-z0-9ü]`)
	paths := rapid.Custom(func(t *rapid.T) string { return path.Join(rapid.SliceOfN(part, 1, 6).Draw(t, "parts")...) })
	rapid.Check(t, func(t *rapid.T) {
		files := Files{"manifest.yaml": []byte(deployment)}
		for name, content := range rapid.MapOfN(paths, rapid.SliceOfN(rapid.Byte(), 0, 2000), 0, 12).Draw(t, "files") {
			files[name+".txt"] = content
		}
		if files.check() != nil {
			t.Skip("no artifact")
		}
		layer, sum, err := pack(files)
		if err != nil {
			t.Fatal(err)
		}
		got, gotSum, err := unpack(layer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files, got); diff != "" || gotSum != sum {
			t.Errorf("digest %s, want %s (-want +got):\n%s", gotSum, sum, diff)
		}
		again, _, err := pack(got)
		if err != nil || !bytes.Equal(layer, again) {
			t.Errorf("packed again it is different: %v", err)
		}
	})
}

// What is taken from a stranger's archive keeps to the bounds, and can be packed again to the same.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, regular("a.yaml", deployment), regular("b/c.json", "{}")))
	f.Add(archive(f, regular("../a.yaml", deployment)))
	f.Add(archive(f, entry{tar.Header{Name: "a.yaml", Typeflag: tar.TypeSymlink, Linkname: "b"}, ""}))
	f.Add(archive(f, regular("kustomization.yaml", "resources: [../x, https://example.com/y]"), regular("a.yaml", deployment)))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, layer []byte) {
		taken(t, layer)
	})
}

// FuzzUnpackTar is the same without the compression, which keeps a fuzzer from getting anywhere.
func FuzzUnpackTar(f *testing.F) {
	for _, layer := range [][]byte{archive(f, regular("a.yaml", deployment)), archive(f, regular("./b/a.yaml", deployment), regular(strings.Repeat("ü", 90), ""))} {
		zipped, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			f.Fatal(err)
		}
		plain, err := io.ReadAll(zipped)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		var out bytes.Buffer
		zipped := gzip.NewWriter(&out)
		if _, err := zipped.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := zipped.Close(); err != nil {
			t.Fatal(err)
		}
		taken(t, out.Bytes())
	})
}

// taken unpacks a layer and says what must hold if it is taken.
func taken(t *testing.T, layer []byte) {
	files, _, err := unpack(layer)
	if err != nil {
		if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("an error of another kind: %v", err)
		}
		return
	}
	if len(files) == 0 || len(files) > MaxFiles || files.size() > MaxTotal {
		t.Errorf("%d files of %d bytes", len(files), files.size())
	}
	for name := range files {
		if !fs.ValidPath(name) || path.Join("/x", name) != "/x/"+name {
			t.Errorf("%q", name)
		}
	}
	packed, sum, err := pack(files)
	if errors.Is(err, ErrTooLarge) {
		return // it was better compressed
	}
	if err != nil {
		t.Fatal(err)
	}
	again, againSum, err := unpack(packed)
	if diff := cmp.Diff(files, again); diff != "" || err != nil || sum != againSum {
		t.Errorf("packed and unpacked again: %v (-want +got):\n%s", err, diff)
	}
}

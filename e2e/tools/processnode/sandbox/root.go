package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// buildRoot makes the container's file system and moves this process into it.
func buildRoot(spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", spec.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=256m"); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	r := root(spec.Root)
	for _, step := range []func() error{
		r.folders, r.hostFolders, r.devices, r.proc,
		func() error { return r.files(spec.Files) },
		func() error { return r.volumes(spec.Mounts) },
		func() error { return r.enter(spec.ReadOnly) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// root is the folder that will be the container's root.
type root string

func (r root) in(path string) string { return filepath.Join(string(r), path) }

func (r root) folders() error {
	for _, d := range []string{"/proc", "/dev", "/sys", "/etc", "/run", "/var/run", "/root", "/usr/local/bin", "/old"} {
		if err := os.MkdirAll(r.in(d), 0o755); err != nil {
			return err
		}
	}
	for _, d := range []string{"/tmp", "/var/tmp"} {
		if err := os.MkdirAll(r.in(d), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(r.in(d), 0o777|os.ModeSticky); err != nil {
			return err
		}
	}
	return nil
}

// hostFolders binds what programs may need of the host: /usr without /usr/local, the links or folders beside it, and
// certificates.
func (r root) hostFolders() error {
	var folders []string
	entries, err := os.ReadDir("/usr")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "local" {
			folders = append(folders, "/usr/"+e.Name())
		}
	}
	folders = append(folders, "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/sys")
	for _, f := range folders {
		if err := r.hostFolder(f); err != nil {
			return err
		}
	}
	return nil
}

func (r root) hostFolder(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(to, r.in(path))
	}
	return r.bind(Mount{Source: path, Target: path, ReadOnly: true})
}

func (r root) devices() error {
	for _, d := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := r.bind(Mount{Source: "/dev/" + d, Target: "/dev/" + d}); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(to, r.in("/dev/"+name)); err != nil {
			return err
		}
	}
	return nil
}

// proc shows the container's own processes. Where the kernel does not let a user namespace mount a fresh one, because parts
// of the host's are covered, it is the host's.
func (r root) proc() error {
	err := unix.Mount("proc", r.in("/proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if errors.Is(err, unix.EPERM) {
		return r.bind(Mount{Source: "/proc", Target: "/proc"})
	}
	if err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return nil
}

func (r root) files(files map[string]string) error {
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(r.in(path)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(r.in(path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// volumes binds the outer ones first, so that one can lie inside another.
func (r root) volumes(mounts []Mount) error {
	sorted := slices.SortedStableFunc(slices.Values(mounts), func(a, b Mount) int {
		return cmp.Compare(strings.Count(filepath.Clean(a.Target), "/"), strings.Count(filepath.Clean(b.Target), "/"))
	})
	for _, m := range sorted {
		if err := r.bind(m); err != nil {
			return err
		}
	}
	return nil
}

func (r root) bind(m Mount) error {
	info, err := os.Stat(m.Source)
	if err != nil {
		return fmt.Errorf("find %s: %w", m.Target, err)
	}
	if err := makeTarget(r.in(m.Target), info.IsDir()); err != nil {
		return fmt.Errorf("make mount point %s: %w", m.Target, err)
	}
	if err := unix.Mount(m.Source, r.in(m.Target), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", m.Target, err)
	}
	if !m.ReadOnly {
		return nil
	}
	return remountReadOnly(r.in(m.Target))
}

func makeTarget(path string, dir bool) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	return file.Close()
}

// remountReadOnly keeps the flags that the mount has: in a user namespace those may not be dropped.
func remountReadOnly(path string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return fmt.Errorf("read mount flags of %s: %w", path, err)
	}
	flags := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY)
	for had, keep := range map[int64]uintptr{
		unix.ST_NOSUID: unix.MS_NOSUID, unix.ST_NODEV: unix.MS_NODEV, unix.ST_NOEXEC: unix.MS_NOEXEC,
		unix.ST_NOATIME: unix.MS_NOATIME, unix.ST_NODIRATIME: unix.MS_NODIRATIME, unix.ST_RELATIME: unix.MS_RELATIME,
	} {
		if st.Flags&had != 0 {
			flags |= keep
		}
	}
	if err := unix.Mount("", path, "", flags, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", path, err)
	}
	return nil
}

// enter makes the root this process's root and lets go of the host's.
func (r root) enter(readOnly bool) error {
	if err := os.Chdir(string(r)); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "old"); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount host: %w", err)
	}
	if err := os.Remove("/old"); err != nil {
		return err
	}
	if readOnly {
		return remountReadOnly("/")
	}
	return nil
}

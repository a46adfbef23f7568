// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"bufio"
	"compress/bzip2"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"holdfast.internal/k3s/internal/durable"
)

// cacheName is the file whose presence asks for conditional import.
const cacheName = ".cache.json"

// archive is one file of agent/images.
type archive struct {
	path     string
	size     int64
	modified time.Time
	// changed is when the file was last touched in any way; nobody can set it.
	changed int64
}

// state tells two versions of a file apart.
func (a archive) state() string {
	return fmt.Sprintf("%d-%d-%d", a.size, a.modified.UnixNano(), a.changed)
}

func (a archive) isList() bool { return strings.HasSuffix(a.path, ".txt") }

// archives lists what can be imported, by name. Whoever copies a file in place should do it under another ending.
func archives(directory string) ([]archive, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, nil
		}
		return nil, err
	}
	var found []archive
	for _, entry := range entries {
		path := filepath.Join(directory, entry.Name())
		facts, err := os.Stat(path) // through links: an archive may lie elsewhere
		if err != nil || !facts.Mode().IsRegular() || !known(entry.Name()) {
			continue
		}
		one := archive{path: path, size: facts.Size(), modified: facts.ModTime()}
		if raw, ok := facts.Sys().(*syscall.Stat_t); ok {
			one.changed = raw.Ctim.Nano()
		}
		found = append(found, one)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].path < found[j].path })
	return found, nil
}

var endings = []string{
	".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.zstd", ".tzst", ".tar.bz2", ".tbz", ".tbz2", ".tar.lz4", ".txt",
}

func known(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	for _, ending := range endings {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}

// reader opens an archive. gzip and zstd are left to containerd, which knows them by their first bytes.
func (a archive) reader() (io.ReadCloser, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	if strings.Contains(filepath.Base(a.path), "bz") {
		return struct {
			io.Reader
			io.Closer
		}{bzip2.NewReader(bufio.NewReaderSize(file, 1<<20)), file}, nil
	}
	return file, nil
}

// references reads a list of images to pull: one a line, # begins a comment.
func (a archive) references() ([]string, error) {
	contents, err := os.ReadFile(a.path)
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(contents)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	return found, nil
}

// cache remembers what was imported, by file.
type cache struct {
	path    string
	enabled bool
	Files   map[string]cached `json:"files"`
}

type cached struct {
	Size     int64     `json:"size"`
	Modified time.Time `json:"modTime"`
	Images   []string  `json:"images"`
}

// openCache reads the cache; an empty or broken one is switched on and knows nothing.
func openCache(directory string) *cache {
	c := &cache{path: filepath.Join(directory, cacheName), Files: map[string]cached{}}
	contents, err := os.ReadFile(c.path)
	if err != nil {
		return c
	}
	c.enabled = true
	if json.Unmarshal(contents, c) != nil || c.Files == nil {
		c.Files = map[string]cached{}
	}
	return c
}

// has gives the images of an unchanged archive.
func (c *cache) has(a archive) ([]string, bool) {
	entry, found := c.Files[filepath.Base(a.path)]
	if !c.enabled || !found || entry.Size != a.size || !entry.Modified.Equal(a.modified) {
		return nil, false
	}
	return entry.Images, true
}

func (c *cache) remember(a archive, images []string) {
	c.Files[filepath.Base(a.path)] = cached{a.size, a.modified, images}
}

// save drops files that are gone and writes the rest, if the operator asked for a cache.
func (c *cache) save(present []archive) error {
	if _, err := os.Stat(c.path); !c.enabled || os.IsNotExist(err) {
		return nil
	}
	kept := map[string]cached{}
	for _, a := range present {
		if entry, found := c.Files[filepath.Base(a.path)]; found {
			kept[filepath.Base(a.path)] = entry
		}
	}
	c.Files = kept
	contents, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	facts, err := os.Stat(c.path)
	mode := fs.FileMode(0o600)
	if err == nil {
		mode = facts.Mode().Perm()
	}
	return durable.Write(c.path, contents, mode)
}

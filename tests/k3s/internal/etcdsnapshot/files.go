// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package etcdsnapshot saves, lists and deletes snapshots of an embedded etcd. The command asks a running server, and
// the server does the work; with an external datastore it refuses.
package etcdsnapshot

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// File is one snapshot on this server's disk.
type File struct {
	Name     string    `json:"name"`
	Location string    `json:"location"`
	Size     int64     `json:"size"`
	Created  time.Time `json:"created"`
}

const compressedSuffix = ".zip"

// list gives the snapshots in a folder, the oldest first. A folder that is not there has none.
func list(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []File{}, nil
	}
	if err != nil {
		return nil, err
	}
	files := []File{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		files = append(files, File{
			Name: entry.Name(), Location: "file://" + filepath.Join(dir, entry.Name()), Size: info.Size(),
			Created: info.ModTime().UTC().Truncate(time.Second),
		})
	}
	slices.SortStableFunc(files, func(a, b File) int { return a.Created.Compare(b.Created) })
	return files, nil
}

// save writes a snapshot under a name that says when and where it was made. Half a snapshot never has that name.
func save(source io.Reader, dir, name string, compress bool) (File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return File{}, err
	}
	if compress {
		name += compressedSuffix
	}
	temporary, err := os.CreateTemp(dir, ".part-*")
	if err != nil {
		return File{}, err
	}
	defer os.Remove(temporary.Name())
	if compress {
		err = zipTo(temporary, strings.TrimSuffix(name, compressedSuffix), source)
	} else {
		_, err = io.Copy(temporary, source)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return File{}, err
	}
	target := filepath.Join(dir, name)
	if err := os.Rename(temporary.Name(), target); err != nil {
		return File{}, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return File{}, err
	}
	return File{Name: name, Location: "file://" + target, Size: info.Size(), Created: info.ModTime().UTC()}, nil
}

func zipTo(target io.Writer, name string, source io.Reader) error {
	archive := zip.NewWriter(target)
	member, err := archive.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(member, source); err != nil {
		return err
	}
	return archive.Close()
}

// remove deletes one snapshot by name.
func remove(dir, name string) error {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return fmt.Errorf("invalid snapshot name %q", name)
	}
	return os.Remove(filepath.Join(dir, name))
}

// prune keeps only the newest snapshots of a name, and gives the names of the deleted ones.
func prune(dir, prefix string, keep int) ([]string, error) {
	deleted := []string{}
	if keep < 1 {
		return deleted, nil
	}
	files, err := list(dir)
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(file File) bool { return !strings.HasPrefix(file.Name, prefix+"-") })
	for len(files) > keep {
		if err := remove(dir, files[0].Name); err != nil {
			return deleted, err
		}
		deleted = append(deleted, files[0].Name)
		files = files[1:]
	}
	return deleted, nil
}

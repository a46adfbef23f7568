// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package durable writes files so that a power cut leaves either the old content or the new, never a part.
package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file in one step and makes its folder (0700) if needed. The mode is exact, whatever the umask says.
func Write(path string, content []byte, mode fs.FileMode) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Chmod(mode)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// WriteIfChanged writes only other content: files whose modification time means something must not be touched in vain.
func WriteIfChanged(path string, content []byte, mode fs.FileMode) (changed bool, err error) {
	present, err := os.ReadFile(path)
	if err == nil && bytes.Equal(present, content) {
		return false, os.Chmod(path, mode)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, Write(path, content, mode)
}

// Link makes path a symbolic link to target in one step.
func Link(target, path string) error {
	if present, err := os.Readlink(path); err == nil && present == target {
		return nil
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".link.*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fresh := filepath.Join(folder, "link")
	if err := os.Symlink(target, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(folder string) error {
	handle, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.Sync()
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package unpack

import (
	"errors"
	"os"
	"path/filepath"
)

// link points data/current at what was found, data/previous at what was current before, and fills data/cni.
func link(base string, found *Unpacked) error {
	current := filepath.Join(base, "current")
	former, err := os.Readlink(current)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if former != found.Dir {
		if former != "" {
			if err := replaceLink(former, filepath.Join(base, "previous")); err != nil {
				return err
			}
		}
		if err := replaceLink(found.Dir, current); err != nil {
			return err
		}
	}
	return linkCNI(base, found)
}

// linkCNI keeps one folder of network plugins whose path stays the same over upgrades: containerd and pods of the
// former version go on using it. Plugins that an operator put there are left alone.
func linkCNI(base string, found *Unpacked) error {
	if err := os.MkdirAll(found.CNIBinDir, 0o755); err != nil {
		return err
	}
	plugins, err := os.ReadDir(filepath.Join(found.BinDir, "cni"))
	if err != nil {
		return err
	}
	for _, plugin := range plugins {
		target := filepath.Join(base, "current", "bin", "cni", plugin.Name())
		path := filepath.Join(found.CNIBinDir, plugin.Name())
		if present, err := os.Lstat(path); err == nil && present.Mode()&os.ModeSymlink == 0 {
			continue
		}
		if err := replaceLink(target, path); err != nil {
			return err
		}
	}
	return nil
}

// replaceLink swaps a symbolic link in one step.
func replaceLink(target, path string) error {
	temporary := path + ".tmp"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

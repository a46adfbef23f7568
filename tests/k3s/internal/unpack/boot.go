// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package unpack

import (
	"archive/zip"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"holdfast.internal/k3s/internal/journal"
)

// Waiting until 300 MB are on a slow disk would delay every first start, so the files are written without. A power cut
// may then leave a folder whose files are empty: until the first start after another boot has compared every file with
// the archive, the folder is marked with the boot in which it was written.
const (
	bootMark   = ".boot"
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// markBoot marks a fresh folder.
func markBoot(folder string) error {
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, bootMark), id, 0o600)
}

// survived tells whether a folder has lived through a power cut, if there was one. What is read after another boot
// comes from the disk, so files that are whole now stay whole, and the mark goes.
func survived(archive *zip.Reader, folder string) bool {
	mark := filepath.Join(folder, bootMark)
	written, err := os.ReadFile(mark)
	if os.IsNotExist(err) {
		return true
	}
	current, bootErr := os.ReadFile(bootIDFile)
	if err == nil && bootErr == nil && string(written) == string(current) {
		return true
	}
	for _, member := range archive.File {
		if !strings.HasSuffix(member.Name, "/") && !whole(filepath.Join(folder, member.Name), member) {
			journal.Warnf("%s was damaged, probably by a power cut: unpacking it again", filepath.Join(folder, member.Name))
			return false
		}
	}
	return os.Remove(mark) == nil
}

func whole(path string, member *zip.File) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	sum := crc32.NewIEEE()
	size, err := io.Copy(sum, file)
	return err == nil && uint64(size) == member.UncompressedSize64 && sum.Sum32() == member.CRC32
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package unpack extracts the components that are appended to this executable, once for each version, and keeps the
// links that name the current and the previous one.
package unpack

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"holdfast.internal/k3s/internal/journal"
)

// Payload is payload.json: what was packed, by the tool that assembled this executable.
type Payload struct {
	// Hash names the folder; it is made from the contents.
	Hash string `json:"hash"`
	// Links are further names of a component, for example kubelet for the multicall program.
	Links map[string]string `json:"links"`
	// Images are the references of the packaged add-ons' images and of pause, by short name.
	Images map[string]string `json:"images"`
	// Versions of the parts, for people.
	Versions map[string]string `json:"versions"`
}

// Unpacked says where the components lie.
type Unpacked struct {
	Payload
	// Dir is <data-dir>/data/<hash>.
	Dir string
	// BinDir is Dir/bin.
	BinDir string
	// CNIBinDir is <data-dir>/data/cni.
	CNIBinDir string
}

const infoName = "payload.json"

// ErrNoPayload is what a bare launcher, fresh from the compiler, answers.
var ErrNoPayload = errors.New("this executable carries no components; it is made by tests/k3s/dev-assemble.sh or by the bundle")

// Ensure extracts executable's payload below dataDir unless that was done before. Two processes may call it at once.
func Ensure(executable, dataDir string) (*Unpacked, error) {
	archive, err := zip.OpenReader(executable)
	if err != nil {
		if errors.Is(err, zip.ErrFormat) {
			return nil, ErrNoPayload
		}
		return nil, err
	}
	defer archive.Close()
	payload, err := readPayload(&archive.Reader)
	if err != nil {
		return nil, err
	}
	base := filepath.Join(dataDir, "data")
	found := &Unpacked{Payload: payload, Dir: filepath.Join(base, payload.Hash), CNIBinDir: filepath.Join(base, "cni")}
	found.BinDir = filepath.Join(found.Dir, "bin")
	if current(base, found) && survived(&archive.Reader, found.Dir) {
		return found, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(base, ".lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(found.Dir); err == nil && !survived(&archive.Reader, found.Dir) {
		if err := os.RemoveAll(found.Dir); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(found.Dir); errors.Is(err, os.ErrNotExist) {
		journal.Infof("Preparing data dir %s", found.Dir)
		if err := extract(&archive.Reader, payload, found.Dir); err != nil {
			return nil, fmt.Errorf("extracting data: %w", err)
		}
	}
	return found, link(base, found)
}

func readPayload(archive *zip.Reader) (Payload, error) {
	var payload Payload
	file, err := archive.Open(infoName)
	if err != nil {
		return payload, ErrNoPayload
	}
	defer file.Close()
	if err := json.NewDecoder(file).Decode(&payload); err != nil {
		return payload, fmt.Errorf("%s: %w", infoName, err)
	}
	if payload.Hash == "" || strings.ContainsAny(payload.Hash, "/.") {
		return payload, fmt.Errorf("%s: bad hash %q", infoName, payload.Hash)
	}
	return payload, nil
}

// current is the quick way, without the lock: everything is in place already.
func current(base string, found *Unpacked) bool {
	target, err := os.Readlink(filepath.Join(base, "current"))
	if err != nil || filepath.Base(target) != found.Hash {
		return false
	}
	_, err = os.Stat(filepath.Join(found.CNIBinDir, "host-local"))
	return err == nil
}

// lock waits for other processes that extract to the same data directory.
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// extract writes to a temporary folder and renames it at the end, so that a power cut leaves no half version behind.
func extract(archive *zip.Reader, payload Payload, target string) error {
	temporary := target + "-tmp"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	for _, member := range archive.File {
		if !filepath.IsLocal(member.Name) {
			return fmt.Errorf("member %q would leave the folder", member.Name)
		}
		if strings.HasSuffix(member.Name, "/") {
			continue
		}
		if err := extractFile(member, filepath.Join(temporary, member.Name)); err != nil {
			return err
		}
	}
	for name, component := range payload.Links {
		if err := os.Symlink(component, filepath.Join(temporary, "bin", name)); err != nil {
			return err
		}
	}
	if err := markBoot(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, target)
}

func extractFile(member *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	source, err := member.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(member.Name, "bin/") {
		mode = 0o755
	}
	target, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return target.Close()
}

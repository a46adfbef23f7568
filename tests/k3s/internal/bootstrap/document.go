// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
)

// tolerance is how much newer a file on disk may be before it counts as newer than the datastore.
const tolerance = 3 * time.Second

// file is one shared file as the datastore keeps it.
type file struct {
	Timestamp time.Time `json:"Timestamp"`
	Content   []byte    `json:"Content"`
}

// passwordsName is the name of cred/passwd in the document.
const passwordsName = "PasswdFile"

// document is what all servers of a cluster share, by name.
type document map[string]file

// place is where a shared file lies on disk.
type place struct {
	path string
	mode fs.FileMode
	// optional files need not be there.
	optional bool
}

func places(m *material.Material) map[string]place {
	const secret, public = fs.FileMode(0o600), fs.FileMode(0o644)
	found := map[string]place{
		"ServiceKey":       {m.ServiceKey, secret, false},
		passwordsName:      {m.Passwords, secret, false},
		"IPSECKey":         {m.IPsecKey, secret, false},
		"EncryptionConfig": {m.EncryptionConfig, secret, true},
		"EncryptionHash":   {m.EncryptionState, secret, true},
	}
	for name, pair := range map[string]material.Pair{
		"ServerCA": m.ServerCA, "ClientCA": m.ClientCA, "RequestHeaderCA": m.RequestHeaderCA,
		"ETCDServerCA": m.EtcdServerCA, "ETCDPeerCA": m.EtcdPeerCA,
	} {
		found[name] = place{pair.Cert, public, false}
		found[name+"Key"] = place{pair.Key, secret, false}
	}
	return found
}

// collect reads the shared files from disk.
func collect(m *material.Material) (document, error) {
	collected := document{}
	for name, where := range places(m) {
		content, err := os.ReadFile(where.path)
		if errors.Is(err, fs.ErrNotExist) && where.optional {
			continue
		}
		if err != nil {
			return nil, err
		}
		information, err := os.Stat(where.path)
		if err != nil {
			return nil, err
		}
		collected[name] = file{Timestamp: information.ModTime().UTC(), Content: content}
	}
	return collected, nil
}

// complete tells whether all files that must be shared are on disk.
func complete(m *material.Material) bool {
	for _, where := range places(m) {
		if _, err := os.Stat(where.path); err != nil && !where.optional {
			return false
		}
	}
	return true
}

// newerError names the files that an operator must look at.
type newerError struct{ paths []string }

func (e newerError) Error() string {
	return strings.Join(e.paths, ", ") + " newer than datastore and could cause a cluster outage. " +
		"Remove the file(s) from disk and restart to be recreated from datastore."
}

// reconcile makes the files on disk those of the datastore, unless one on disk is different and newer: then nothing is
// written at all.
func (d document) reconcile(m *material.Material) (changed []string, err error) {
	var write, newer []string
	known := places(m)
	for _, name := range slices.Sorted(maps.Keys(d)) {
		where, ok := known[name]
		if !ok {
			continue
		}
		present, err := os.ReadFile(where.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			write = append(write, name)
		case err != nil:
			return nil, err
		case bytes.Equal(present, d[name].Content):
		default:
			information, err := os.Stat(where.path)
			if err != nil {
				return nil, err
			}
			if information.ModTime().Sub(d[name].Timestamp) >= tolerance {
				newer = append(newer, where.path)
				continue
			}
			journal.Warnf("%s will be updated from the datastore.", where.path)
			write = append(write, name)
		}
	}
	if len(newer) > 0 {
		slices.Sort(newer)
		return nil, newerError{newer}
	}
	for _, name := range write {
		if err := d[name].restore(known[name]); err != nil {
			return nil, fmt.Errorf("failed to write bootstrap data: %w", err)
		}
		changed = append(changed, name)
	}
	return changed, nil
}

// restore writes one file with the time it had where it was made, so that it never looks newer than the datastore.
func (f file) restore(where place) error {
	if err := os.MkdirAll(filepath.Dir(where.path), 0o700); err != nil {
		return err
	}
	if err := durable.Write(where.path, f.Content, where.mode); err != nil {
		return err
	}
	return os.Chtimes(where.path, time.Now(), f.Timestamp)
}

// restore writes all files of the document to disk.
func (d document) restore(m *material.Material) error {
	known := places(m)
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if err := d[name].restore(known[name]); err != nil {
			return err
		}
	}
	return nil
}

func (d document) encode() ([]byte, error) { return json.Marshal(d) }

func decode(plain []byte) (document, error) {
	var decoded document
	if err := json.Unmarshal(plain, &decoded); err != nil {
		return nil, fmt.Errorf("failed to decode bootstrap data: %w", err)
	}
	return decoded, nil
}

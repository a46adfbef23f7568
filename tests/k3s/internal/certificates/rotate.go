// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/verb"
)

// rotate is `certificate rotate`: it copies all certificates aside and deletes those of the chosen services, so that the
// next start makes new ones.
func rotate(_ context.Context, call *verb.Call) error {
	if os.Geteuid() != 0 {
		return errors.New("certificate rotate must be run as root")
	}
	chosen, err := chosenServices(call.Flags.List("service"))
	if err != nil {
		return err
	}
	backup := filepath.Join(call.DataDir, agentTLS, fmt.Sprintf("tls-%d", time.Now().Unix()))
	if isServer(call.DataDir) {
		backup = filepath.Join(call.DataDir, "server", filepath.Base(backup))
		journal.Infof("Server detected, rotating agent and server certificates")
	} else {
		journal.Infof("Agent detected, rotating agent certificates")
	}
	if err := backUp(call.DataDir, backup); err != nil {
		return fmt.Errorf("failed to back up certificates: %w", err)
	}
	for _, service := range chosen {
		journal.Infof("Rotating certificates for %s", service)
		if err := remove(call.DataDir, service); err != nil {
			return err
		}
	}
	journal.Infof("Successfully backed up certificates to %s, please restart k3s server or agent to rotate certificates", backup)
	return nil
}

func remove(dataDir, service string) error {
	if service == listenerService && isServer(dataDir) {
		// The listener's certificate is not thrown away before there is a new one.
		return durable.Write(filepath.Join(dataDir, serverTLS, "dynamic-cert-regenerate"), nil, keyMode)
	}
	paths, err := presentFiles(dataDir, service, ".crt", ".key")
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// backUp copies certificates and keys, with their modes and times.
func backUp(dataDir, target string) error {
	agent := filepath.Join(dataDir, agentTLS)
	entries, err := os.ReadDir(agent)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found := false
	for _, entry := range entries {
		ending := filepath.Ext(entry.Name())
		if entry.Type().IsRegular() && (ending == ".crt" || ending == ".key") {
			found = true
			if err := copyFile(filepath.Join(agent, entry.Name()), filepath.Join(target, entry.Name())); err != nil {
				return err
			}
		}
	}
	if !isServer(dataDir) {
		if !found {
			return fmt.Errorf("no certificates found in %s", dataDir)
		}
		return nil
	}
	source := filepath.Join(dataDir, serverTLS)
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		// Half-written files begin with a dot and belong to a running server.
		if err != nil || !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		return copyFile(path, filepath.Join(target, relative))
	})
}

func copyFile(source, target string) error {
	information, err := os.Stat(source)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := durable.Write(target, content, information.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(target, time.Now(), information.ModTime())
}

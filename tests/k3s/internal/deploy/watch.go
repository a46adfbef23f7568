// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package deploy keeps the cluster equal to the manifests folder: packaged add-ons and the operator's own files.
package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"holdfast.internal/k3s/internal/journal"
)

// interval is how often the folder is looked at, as often as k3s looks.
const interval = 15 * time.Second

// addonNames is what Kubernetes takes as a name of an object, RFC 1123.
var addonNames = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// folder is the state of one manifests folder.
type folder struct {
	dir      string
	disabled map[string]bool
	applier  *applier
	// done holds each file's time of change when it was last handled well.
	done map[string]time.Time
}

// Watch applies the folder now and whenever a file changes, until the context ends. Everything is applied once after
// the start, changed or not, so that resources deleted by hand come back.
func Watch(ctx context.Context, config *rest.Config, dir string, disabled map[string]bool) error {
	applier, err := newApplier(config)
	if err != nil {
		return err
	}
	watched := &folder{dir: dir, disabled: disabled, applier: applier, done: map[string]time.Time{}}
	for prepared := false; ; {
		if !prepared {
			err := watched.prepare(ctx)
			if err != nil && ctx.Err() == nil {
				journal.Errorf("Failed to process config: %v", err)
			}
			prepared = err == nil
		}
		if prepared {
			watched.pass(ctx)
		}
		wait := interval
		if !prepared {
			wait = 2 * time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// prepare makes the kind of the records and takes disabled packaged add-ons down, even where their file is long gone.
func (f *folder) prepare(ctx context.Context) error {
	if err := f.applier.defineAddons(ctx); err != nil {
		return err
	}
	for name, component := range packagedAddons() {
		if !f.disabled[component] && !f.disabled[name] {
			continue
		}
		addon, err := f.applier.addon(ctx, name)
		if err != nil {
			return err
		}
		if addon == nil {
			continue
		}
		if err := f.applier.forget(ctx, addon); err != nil {
			return fmt.Errorf("failed to delete the disabled %s: %w", name, err)
		}
	}
	return nil
}

// pass looks at each file once.
func (f *folder) pass(ctx context.Context) {
	// Nodes wait for their rights, so these come first.
	f.look(ctx, filepath.Join(f.dir, "rolebindings.yaml"))
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && isManifest(path) {
			f.look(ctx, path)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		journal.Errorf("Failed to process config: %v", err)
	}
}

// look handles one file if it changed since it was last handled well.
func (f *folder) look(ctx context.Context, path string) {
	info, err := os.Stat(path)
	if ctx.Err() != nil || os.IsNotExist(err) || err == nil && !info.Mode().IsRegular() {
		return
	}
	if err == nil && !f.done[path].Equal(info.ModTime()) {
		err = f.handle(ctx, path)
	}
	if err == nil {
		f.done[path] = info.ModTime()
	} else if ctx.Err() == nil {
		journal.Errorf("Failed to process config: failed to process %s: %v", path, err)
	}
}

// handle applies one file, skips it, or takes it down.
func (f *folder) handle(ctx context.Context, path string) error {
	relative, err := filepath.Rel(f.dir, path)
	if err != nil {
		return err
	}
	name := addonName(relative)
	if !addonNames.MatchString(name) || len(name) > 253 {
		return fmt.Errorf("the file's name without suffix, %q, must be a lowercase RFC 1123 name", name)
	}
	if isDisabled(relative, f.disabled) {
		return f.takeDown(ctx, name, path)
	}
	if _, err := os.Stat(path + ".skip"); err == nil {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	objects, err := parseObjects(content)
	if err != nil {
		return err
	}
	before, err := f.applier.addon(ctx, name)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	checksum := hex.EncodeToString(sum[:])
	// The record comes first: if the power goes in the middle, the kinds of both versions of the file are known.
	known := recordedKinds(before)
	for _, object := range objects {
		known = append(known, object.GroupVersionKind())
	}
	addon, err := f.applier.record(ctx, name, path, "", unique(known))
	if err != nil {
		return err
	}
	f.applier.event(ctx, addon, "Normal", "ApplyingManifest", fmt.Sprintf("Applying manifest at %q", path))
	kinds, err := f.applier.apply(ctx, name, objects, recordedKinds(before))
	if err != nil {
		f.applier.event(ctx, addon, "Warning", "ApplyManifestFailed",
			fmt.Sprintf("Applying manifest at %q failed: %v", path, err))
		return err
	}
	if _, err := f.applier.record(ctx, name, path, checksum, kinds); err != nil {
		return err
	}
	f.applier.event(ctx, addon, "Normal", "AppliedManifest", fmt.Sprintf("Applied manifest at %q", path))
	return nil
}

// takeDown removes what a disabled file brought, then the file.
func (f *folder) takeDown(ctx context.Context, name, path string) error {
	addon, err := f.applier.addon(ctx, name)
	if err != nil {
		return err
	}
	if addon != nil {
		if err := f.applier.forget(ctx, addon); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func isManifest(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return !strings.HasPrefix(filepath.Base(path), ".")
	}
	return false
}

func unique[T comparable](values []T) []T {
	seen := map[T]bool{}
	var out []T
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			out = append(out, value)
		}
	}
	return out
}

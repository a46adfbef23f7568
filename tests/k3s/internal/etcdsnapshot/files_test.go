// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package etcdsnapshot

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestASnapshotIsWholeOrNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshots")
	if _, err := save(io.MultiReader(strings.NewReader("half"), broken{}), dir, "x-node-1", false); err == nil {
		t.Fatal("a broken stream made a snapshot")
	}
	if files, err := list(dir); err != nil || len(files) != 0 {
		t.Errorf("left behind: %v %v", files, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	made, err := save(strings.NewReader("whole"), dir, "x-node-1", false)
	if err != nil || made.Size != 5 || made.Name != "x-node-1" {
		t.Errorf("got %v %v", made, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the stream broke") }

func TestACompressedSnapshotIsAZip(t *testing.T) {
	dir := t.TempDir()
	made, err := save(strings.NewReader("whole"), dir, "x-node-1", true)
	if err != nil || made.Name != "x-node-1.zip" {
		t.Fatalf("got %v %v", made, err)
	}
	archive, err := zip.OpenReader(filepath.Join(dir, made.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if len(archive.File) != 1 || archive.File[0].Name != "x-node-1" {
		t.Errorf("got %v", archive.File)
	}
}

func TestPruningKeepsTheNewestOfOneSeries(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for age, name := range []string{"x-node-4", "x-node-3", "x-node-2", "x-node-1", "y-node-1"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-time.Duration(age)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	deleted, err := prune(dir, "x-node", 2)
	if err != nil || !slices.Equal(deleted, []string{"x-node-1", "x-node-2"}) {
		t.Errorf("deleted %v %v", deleted, err)
	}
	left, err := list(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("left %v %v", left, err)
	}
}

func TestNothingOutsideTheFolderIsDeleted(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "precious")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "snapshots")
	for _, name := range []string{"", "../precious", outside, "..", ".hidden"} {
		if err := remove(inside, name); err == nil || !strings.Contains(err.Error(), "invalid snapshot name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package unpack

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// program writes a file that begins like an executable and ends with a payload.
func program(t *testing.T, hash string, members map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "k3s")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("#!/bin/false\n"); err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	archive.SetOffset(int64(len("#!/bin/false\n")))
	information, _ := json.Marshal(Payload{Hash: hash, Links: map[string]string{"kubelet": "kubernetes"}})
	members[infoName] = string(information)
	for name, content := range members {
		writer, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func parts(content string) map[string]string {
	return map[string]string{"bin/kubernetes": content, "bin/cni/host-local": content}
}

func TestAnUpgradeMovesCurrentToPreviousAndKeepsTheNetworkPluginsPath(t *testing.T) {
	dataDir := t.TempDir()
	if _, err := Ensure(program(t, "aaa", parts("one")), dataDir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dataDir, "data", "previous")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a first start has a previous version: %v", err)
	}
	found, err := Ensure(program(t, "bbb", parts("two")), dataDir)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(found.BinDir, "kubelet"):                         "two",
		filepath.Join(dataDir, "data/current/bin/kubelet"):             "two",
		filepath.Join(dataDir, "data/previous/bin/kubelet"):            "one",
		filepath.Join(dataDir, "data/cni/host-local"):                  "two",
		filepath.Join(dataDir, "data/aaa/bin/cni/host-local"):          "one",
		filepath.Join(filepath.Dir(found.CNIBinDir), "cni/host-local"): "two",
	} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestADowngradeUsesTheFolderThatIsThere(t *testing.T) {
	dataDir := t.TempDir()
	first := program(t, "aaa", parts("one"))
	for _, executable := range []string{first, program(t, "bbb", parts("two")), first} {
		if _, err := Ensure(executable, dataDir); err != nil {
			t.Fatal(err)
		}
	}
	if target, _ := os.Readlink(filepath.Join(dataDir, "data/previous")); filepath.Base(target) != "bbb" {
		t.Errorf("previous is %s", target)
	}
}

func TestManyProcessesMayUnpackAtOnce(t *testing.T) {
	dataDir, executable := t.TempDir(), program(t, "aaa", parts("one"))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := Ensure(executable, dataDir); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestAnInterruptedUnpackingIsDoneAgain(t *testing.T) {
	dataDir := t.TempDir()
	half := filepath.Join(dataDir, "data", "aaa-tmp", "bin")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "kubernetes"), []byte("ha"), 0o755); err != nil {
		t.Fatal(err)
	}
	found, err := Ensure(program(t, "aaa", parts("one")), dataDir)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(found.BinDir, "kubernetes")); string(got) != "one" {
		t.Errorf("got %q", got)
	}
}

func TestAMemberThatWouldLeaveTheFolderIsRefused(t *testing.T) {
	if _, err := Ensure(program(t, "aaa", map[string]string{"../evil": "x"}), t.TempDir()); err == nil {
		t.Error("it was unpacked")
	}
}

func TestABareLauncherSaysThatItHasNoComponents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k3s")
	if err := os.WriteFile(path, []byte("ELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(path, t.TempDir()); !errors.Is(err, ErrNoPayload) {
		t.Errorf("got %v", err)
	}
}

func TestAfterAPowerCutDamagedFilesAreUnpackedAgain(t *testing.T) {
	dataDir, executable := t.TempDir(), program(t, "aaa", parts("one"))
	found, err := Ensure(executable, dataDir)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(found.Dir, bootMark)
	damaged := filepath.Join(found.BinDir, "kubernetes")
	for _, content := range []string{"", "two"} {
		if err := os.WriteFile(mark, []byte("another boot\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(damaged, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := Ensure(executable, dataDir); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(damaged); string(got) != "one" {
			t.Errorf("%q was kept", got)
		}
	}
	if err := os.WriteFile(mark, []byte("another boot\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(executable, dataDir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("whole files are still marked: %v", err)
	}
}

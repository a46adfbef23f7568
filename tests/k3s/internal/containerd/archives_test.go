// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func place(t *testing.T, directory, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyArchivesAndListsAreTaken(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"b.tar", "a.tar.zst", "c.txt", "d.tar.part", ".cache.json", ".hidden.tar", "e.tgz"} {
		place(t, directory, name, "x")
	}
	if err := os.Mkdir(filepath.Join(directory, "folder.tar"), 0o700); err != nil {
		t.Fatal(err)
	}
	found, err := archives(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range found {
		names = append(names, filepath.Base(one.path))
	}
	if !slices.Equal(names, []string{"a.tar.zst", "b.tar", "c.txt", "e.tgz"}) {
		t.Errorf("got %v", names)
	}
}

func TestAListHasCommentsAndBlankLines(t *testing.T) {
	directory := t.TempDir()
	place(t, directory, "l.txt", "# all\n\nr/a:1\n r/b:2 # why\n")
	got, err := archive{path: filepath.Join(directory, "l.txt")}.references()
	if err != nil || !slices.Equal(got, []string{"r/a:1", "r/b:2"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTheCacheWorksOnlyIfTheOperatorMadeIt(t *testing.T) {
	directory := t.TempDir()
	place(t, directory, "a.tar", "x")
	found, _ := archives(directory)
	off := openCache(directory)
	off.remember(found[0], []string{"r/a:1"})
	if err := off.save(found); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(directory, cacheName)); err == nil {
		t.Fatal("a cache was made that nobody asked for")
	}
	place(t, directory, cacheName, "")
	on := openCache(directory)
	if _, known := on.has(found[0]); known {
		t.Fatal("an empty cache knew something")
	}
	on.remember(found[0], []string{"r/a:1"})
	if err := on.save(found); err != nil {
		t.Fatal(err)
	}
	again := openCache(directory)
	if names, known := again.has(found[0]); !known || !slices.Equal(names, []string{"r/a:1"}) {
		t.Errorf("got %v, %t", names, known)
	}
	touched := found[0]
	touched.modified = touched.modified.Add(time.Second)
	if _, known := again.has(touched); known {
		t.Error("a touched archive counts as unchanged")
	}
}

func TestOtherNamesOfAnImage(t *testing.T) {
	got, err := otherNames("docker.io/rancher/pause:3.6", "sha256:ab", []string{"", "my.registry:5000", "docker.io"})
	wanted := []string{"docker.io/rancher/pause@sha256:ab", "my.registry:5000/rancher/pause:3.6"}
	if err != nil || !slices.Equal(got, wanted) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := otherNames("registry:5000/none", "sha256:ab", nil); err == nil {
		t.Error("a name without a tag was accepted")
	}
}

func TestContainerdsOwnEnvironment(t *testing.T) {
	own, level := ownEnvironment([]string{"PATH=/bin", "CONTAINERD_HTTP_PROXY=http://p", "CONTAINERD_LOG_LEVEL=debug", "CONTAINERD_NAMESPACE=x"})
	if !slices.Equal(own, []string{"HTTP_PROXY=http://p"}) || level != "debug" {
		t.Errorf("got %v, %q", own, level)
	}
}

func TestTheLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "containerd.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range []byte("abcdef") {
		log.size = logSize // as if that much had been written before
		_, _ = log.Write([]byte{letter})
	}
	for suffix, wanted := range map[string]string{"": "f", ".1": "e", ".2": "d", ".3": "c"} {
		if got, err := os.ReadFile(path + suffix); err != nil || !bytes.Equal(got, []byte(wanted)) {
			t.Errorf("%s holds %q, %v", suffix, got, err)
		}
	}
	if _, err := os.Stat(path + ".4"); err == nil {
		t.Error("a fourth old log was kept")
	}
}

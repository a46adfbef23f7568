// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast.internal/k3s/internal/settings"
)

func sample() Config {
	return Config{
		Root: "/data/agent/containerd", State: stateDir, Socket: Socket, CNIBinDir: "/data/cni", PauseImage: "r/pause:1",
		Snapshotter: "overlayfs", Runtimes: []ociRuntime{{Name: "runc"}, {Name: "crun", Binary: "/usr/bin/crun"}},
		Logins: []login{{Host: "r:5000", Username: `u"x`, Password: "p"}}, NodeConfig: &settings.Settings{},
	}
}

func TestTheSchemaFollowsTheOperatorsTemplate(t *testing.T) {
	directory := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(wanted ...string) {
		t.Helper()
		got, err := render(directory, sample())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range wanted {
			if !strings.Contains(string(got), one) {
				t.Errorf("%q is missing in:\n%s", one, got)
			}
		}
	}
	has("version = 3", `username = "u\"x"`, `BinaryName = "/usr/bin/crun"`, `bin_dirs = ["/data/cni"]`)
	write("config.toml.tmpl", "{{ template \"base\" . }}\n[own]\n")
	has("version = 2", "[own]")
	write("config-v3.toml.tmpl", "{{ template \"base\" . }}\n[three]\n")
	has("version = 3", "[three]")
	write("config-v3.toml.tmpl", "{{ .Nonsense }}")
	if _, err := render(directory, sample()); err == nil {
		t.Error("a template with an unknown field was accepted")
	}
}

func TestWithoutFlannelTheNetworkIsLeftToOthers(t *testing.T) {
	config := sample()
	config.NoFlannel = true
	got, err := render(t.TempDir(), config)
	if err != nil || strings.Contains(string(got), "conf_dir") {
		t.Errorf("error %v, file:\n%s", err, got)
	}
}

func TestRuntimesOfTheHostAreFound(t *testing.T) {
	got := findRuntimes(func(name string) (string, error) {
		if name == "crun" {
			return "/usr/bin/crun", nil
		}
		return "", errors.New("not found")
	})
	if len(got) != 2 || got[1] != (ociRuntime{"crun", "/usr/bin/crun"}) {
		t.Errorf("got %v", got)
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package containerd configures and runs the container runtime, and gives it the images that an offline node needs.
package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/hostfacts"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

// Socket is where the runtime listens; state beside it is lost at a reboot, as it must be.
const (
	Socket   = "/run/k3s/containerd/containerd.sock"
	stateDir = "/run/k3s/containerd"
)

// Endpoint is Socket as the kubelet wants it.
const Endpoint = "unix://" + Socket

// Config is what a template sees.
type Config struct {
	Root, State, Socket, DropIns string
	CNIBinDir, CNIConfDir        string
	CertsDir                     string
	PauseImage, Snapshotter      string
	DefaultRuntime               string
	NoFlannel                    bool
	SELinux, NonrootDevices      bool
	RestrictOOMScore             bool
	SystemdCgroup                bool
	Logins                       []login
	Runtimes                     []ociRuntime
	NodeConfig                   *settings.Settings
}

type ociRuntime struct{ Name, Binary string }

// ConfigDir is agent/etc/containerd.
func ConfigDir(s *settings.Settings) string {
	return filepath.Join(s.AgentDir(), "etc", "containerd")
}

// CNIConfDir is agent/etc/cni/net.d.
func CNIConfDir(s *settings.Settings) string {
	return filepath.Join(s.AgentDir(), "etc", "cni", "net.d")
}

// Configure writes config.toml and certs.d. noFlannel leaves the places of the network to containerd's defaults, where
// other network plugins put their files.
func Configure(s *settings.Settings, registries *Registries, noFlannel bool) error {
	directory := ConfigDir(s)
	certs := filepath.Join(directory, "certs.d")
	if err := registries.writeHosts(certs, s.DisableDefaultRegistryEndpoint); err != nil {
		return fmt.Errorf("certs.d: %w", err)
	}
	config := Config{
		Root:             filepath.Join(s.AgentDir(), "containerd"),
		State:            stateDir,
		Socket:           Socket,
		DropIns:          filepath.Join(directory, "config-v3.toml.d", "*.toml"),
		CNIBinDir:        s.CNIBinDir,
		CNIConfDir:       CNIConfDir(s),
		CertsDir:         certs,
		PauseImage:       s.PauseImage,
		Snapshotter:      s.Snapshotter,
		DefaultRuntime:   s.DefaultRuntime,
		NoFlannel:        noFlannel,
		SELinux:          s.SELinux,
		NonrootDevices:   s.NonrootDevices,
		RestrictOOMScore: !hostfacts.OOMScoreCanBeLowered(),
		SystemdCgroup:    hostfacts.ReadCgroups().Driver() == "systemd",
		Logins:           registries.logins(),
		Runtimes:         findRuntimes(exec.LookPath),
		NodeConfig:       s,
	}
	rendered, err := render(directory, config)
	if err != nil {
		return err
	}
	return durable.Write(filepath.Join(directory, "config.toml"), rendered, 0o600)
}

// render takes the operator's template of schema 3, else the one of schema 2, else none.
func render(directory string, config Config) ([]byte, error) {
	for _, choice := range []struct{ file, base string }{
		{"config-v3.toml.tmpl", baseV3}, {"config.toml.tmpl", baseV2},
	} {
		own, err := os.ReadFile(filepath.Join(directory, choice.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		journal.Infof("Using containerd template at %s", filepath.Join(directory, choice.file))
		return execute(choice.file, choice.base, string(own), config)
	}
	return execute("config.toml", baseV3, plain, config)
}

var blankLines = regexp.MustCompile(`\n[ \t]*(\n[ \t]*)+\n`)

func execute(name, base, text string, config Config) ([]byte, error) {
	functions := template.FuncMap{"q": quoted, "deschemify": func(url string) string {
		_, rest, found := strings.Cut(url, "://")
		if !found {
			return url
		}
		return rest
	}}
	parsed, err := template.New("base-" + name).Funcs(functions).Parse(base)
	if err == nil {
		parsed, err = parsed.New(name).Parse(text)
	}
	var rendered bytes.Buffer
	if err == nil {
		err = parsed.Execute(&rendered, config)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to render containerd template: %w", err)
	}
	return blankLines.ReplaceAll(rendered.Bytes(), []byte("\n\n")), nil
}

// findRuntimes adds what the host has besides the bundled runc.
func findRuntimes(look func(string) (string, error)) []ociRuntime {
	found := []ociRuntime{{Name: "runc"}}
	for _, candidate := range []struct{ name, program string }{
		{"crun", "crun"}, {"nvidia", "nvidia-container-runtime"}, {"nvidia-cdi", "nvidia-container-runtime.cdi"},
	} {
		for _, program := range []string{filepath.Join("/usr/local/nvidia/toolkit", candidate.program), candidate.program} {
			if path, err := look(program); err == nil {
				journal.Infof("Found %s container runtime at %s", candidate.name, path)
				found = append(found, ociRuntime{Name: candidate.name, Binary: path})
				break
			}
		}
	}
	return found
}

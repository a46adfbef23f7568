// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package deploy

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
)

//go:embed manifests
var packaged embed.FS

const packagedRoot = "manifests"

// Values fill the packaged manifests in.
type Values struct {
	ClusterDomain string
	ClusterDNS    string
	// IPFamilyPolicy is of the DNS service: SingleStack or PreferDualStack.
	IPFamilyPolicy          string
	DefaultLocalStoragePath string
	// KubeletAddressTypes is the order in which metrics-server tries a node's addresses.
	KubeletAddressTypes string
	CipherSuites        string
	// Images gives the full reference of each packaged image by its short name, for example coredns.
	Images map[string]string
	// Registry, if set, takes the place of the registry in each reference (system-default-registry).
	Registry string
}

// Image is the reference that a manifest uses.
func (v Values) Image(name string) (string, error) {
	reference, known := v.Images[name]
	if !known {
		return "", fmt.Errorf("the payload names no image %q", name)
	}
	return WithRegistry(reference, v.Registry), nil
}

// WithRegistry puts another registry in front of a full image reference; an empty one changes nothing.
func WithRegistry(reference, registry string) string {
	if registry == "" {
		return reference
	}
	first, rest, found := strings.Cut(reference, "/")
	if !found || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return registry + "/" + reference
	}
	return registry + "/" + rest
}

// Stage writes the packaged manifests into dir, as at every start. A disabled one is not written; a copy of an earlier
// start is left for the watcher, which takes the resources down before the file goes.
func Stage(dir string, values Values, disabled map[string]bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return fs.WalkDir(packaged, packagedRoot, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative := strings.TrimPrefix(name, packagedRoot+"/")
		if isDisabled(relative, disabled) {
			return nil
		}
		content, err := render(name, values)
		if err != nil {
			return fmt.Errorf("packaged manifest %s: %w", relative, err)
		}
		target := filepath.Join(dir, filepath.FromSlash(relative))
		journal.Infof("Writing manifest: %s", target)
		return durable.Write(target, content, 0o600)
	})
}

func render(name string, values Values) ([]byte, error) {
	source, err := packaged.ReadFile(name)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(path.Base(name)).Option("missingkey=error").Parse(string(source))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// packagedAddons are the names of all add-ons that the program brings, with the component that `disable` names.
func packagedAddons() map[string]string {
	names := map[string]string{}
	_ = fs.WalkDir(packaged, packagedRoot, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative := strings.TrimPrefix(name, packagedRoot+"/")
		addon := addonName(relative)
		component := addon
		if folder := path.Dir(relative); folder != "." {
			component = folder
		}
		names[addon] = component
		return nil
	})
	return names
}

// isDisabled tells whether a manifest is switched off by the name of the file or of a folder it lies in.
func isDisabled(relative string, disabled map[string]bool) bool {
	parts := strings.Split(filepath.ToSlash(relative), "/")
	parts[len(parts)-1] = addonName(relative)
	for _, part := range parts {
		if disabled[part] {
			return true
		}
	}
	return false
}

// addonName is the file's name without folder and suffix.
func addonName(relative string) string {
	base := path.Base(filepath.ToSlash(relative))
	return strings.TrimSuffix(base, path.Ext(base))
}

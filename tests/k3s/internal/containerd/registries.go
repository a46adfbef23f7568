// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
)

// Registries is registries.yaml.
type Registries struct {
	Mirrors map[string]Mirror         `json:"mirrors"`
	Configs map[string]RegistryConfig `json:"configs"`
}

// Mirror says where a registry's images are looked for, in this order.
type Mirror struct {
	Endpoints []string          `json:"endpoint"`
	Rewrites  map[string]string `json:"rewrite"`
}

// RegistryConfig is how one host is spoken to.
type RegistryConfig struct {
	Auth *Auth `json:"auth"`
	TLS  *TLS  `json:"tls"`
}

// Auth is one of the three ways to log in.
type Auth struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identity_token"`
	Token         string `json:"token"`
}

// TLS holds paths.
type TLS struct {
	CAFile             string `json:"ca_file"`
	CertFile           string `json:"cert_file"`
	KeyFile            string `json:"key_file"`
	InsecureSkipVerify bool   `json:"insecure_skip_verify"`
}

// ReadRegistries reads the file; a missing one is an empty one.
func ReadRegistries(path string) (*Registries, error) {
	contents, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Registries{}, nil
	}
	if err != nil {
		return nil, err
	}
	var registries Registries
	if err := yaml.Unmarshal(contents, &registries); err != nil {
		return nil, fmt.Errorf("failed to parse registry configuration %s: %w", path, err)
	}
	for name, mirror := range registries.Mirrors {
		for _, endpoint := range mirror.Endpoints {
			if _, err := parseEndpoint(endpoint); err != nil {
				return nil, fmt.Errorf("failed to parse registry configuration %s: mirror %s: %w", path, name, err)
			}
		}
	}
	return &registries, nil
}

// parseEndpoint accepts host[:port] as https://host[:port].
func parseEndpoint(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	if parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fmt.Errorf("invalid endpoint URL %q", endpoint)
	}
	return parsed, nil
}

// writeHosts makes certs.d anew: what an earlier registries.yaml asked for must not outlive it.
func (r *Registries) writeHosts(directory string, noDefault bool) error {
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	names := map[string]bool{}
	for name := range r.Mirrors {
		names[name] = true
	}
	for name := range r.Configs {
		// A host that is only configured, not mirrored, gets its TLS options on its own endpoint.
		names[name] = true
	}
	for name := range names {
		folder := name
		if name == "*" {
			folder = "_default"
		}
		if len(r.Mirrors[name].Rewrites) > 0 {
			journal.Warnf("registries.yaml: rewrite of mirror %s is ignored: upstream containerd, which this stand-in runs, cannot do it", name)
		}
		content := r.hosts(name, noDefault)
		if err := durable.Write(filepath.Join(directory, folder, "hosts.toml"), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// hosts renders one hosts.toml.
func (r *Registries) hosts(name string, noDefault bool) string {
	var text strings.Builder
	text.WriteString("# Generated at each start from registries.yaml. DO NOT EDIT.\n")
	endpoints := r.Mirrors[name].Endpoints
	_, mirrored := r.Mirrors[name]
	switch {
	case mirrored && noDefault && len(endpoints) > 0:
		// containerd asks the registry's own endpoint last unless another one takes that place.
		writeEndpoint(&text, "server", endpoints[len(endpoints)-1], r.Configs)
		endpoints = endpoints[:len(endpoints)-1]
	case name != "*":
		own := name
		if name == "docker.io" {
			own = "registry-1.docker.io"
		}
		writeEndpoint(&text, "server", "https://"+own, r.withFallback(own, name))
	}
	for _, endpoint := range endpoints {
		writeEndpoint(&text, "host", endpoint, r.Configs)
	}
	return text.String()
}

// withFallback lets configs of "docker.io" apply to the host that serves it.
func (r *Registries) withFallback(host, name string) map[string]RegistryConfig {
	if config, found := r.Configs[name]; found && host != name {
		return map[string]RegistryConfig{host: config}
	}
	return r.Configs
}

func writeEndpoint(text *strings.Builder, kind, endpoint string, configs map[string]RegistryConfig) {
	parsed, err := parseEndpoint(endpoint)
	if err != nil {
		return // ReadRegistries refused it already
	}
	parsed.Path = strings.TrimSuffix(parsed.Path, "/")
	capabilities := `["pull", "resolve"]`
	if kind == "server" {
		fmt.Fprintf(text, "server = %s\n", quoted(parsed.String()))
		capabilities = `["pull", "resolve", "push"]`
	} else {
		fmt.Fprintf(text, "\n[host.%s]\n", quoted(parsed.String()))
	}
	fmt.Fprintf(text, "capabilities = %s\n", capabilities)
	if parsed.Path != "" {
		text.WriteString("override_path = true\n")
	}
	options := configs[parsed.Host].TLS
	if options == nil {
		return
	}
	if options.CAFile != "" {
		fmt.Fprintf(text, "ca = [%s]\n", quoted(options.CAFile))
	}
	if options.CertFile != "" && options.KeyFile != "" {
		fmt.Fprintf(text, "client = [[%s, %s]]\n", quoted(options.CertFile), quoted(options.KeyFile))
	}
	if options.InsecureSkipVerify {
		text.WriteString("skip_verify = true\n")
	}
}

// logins gives what containerd's own file must hold, since hosts.toml knows no passwords.
func (r *Registries) logins() []login {
	var found []login
	for host, config := range r.Configs {
		if config.Auth == nil {
			continue
		}
		token := config.Auth.IdentityToken
		if token == "" {
			token = config.Auth.Token
		}
		found = append(found, login{
			Host: host, Username: config.Auth.Username, Password: config.Auth.Password, Auth: config.Auth.Auth, IdentityToken: token,
		})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Host < found[j].Host })
	return found
}

type login struct{ Host, Username, Password, Auth, IdentityToken string }

// quoted gives a TOML basic string; JSON's escapes are a part of TOML's.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(encoded)
}

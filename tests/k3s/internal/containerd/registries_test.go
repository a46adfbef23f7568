// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package containerd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRegistriesFile(t *testing.T) {
	for name, one := range map[string]struct {
		text  string
		fails bool
	}{
		"empty":         {"", false},
		"usual":         {"mirrors:\n  docker.io:\n    endpoint: [https://m:5000]\nconfigs:\n  m:5000:\n    tls: {ca_file: /ca}\n", false},
		"not yaml":      {"mirrors: [", true},
		"wrong type":    {"mirrors: 3\n", true},
		"wrong scheme":  {"mirrors: {a: {endpoint: ['ftp://x']}}\n", true},
		"empty mirrors": {"mirrors:\n  \"*\":\n", false},
	} {
		path := filepath.Join(t.TempDir(), "registries.yaml")
		if err := os.WriteFile(path, []byte(one.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRegistries(path); (err != nil) != one.fails {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if got, err := ReadRegistries("/does/not/exist"); err != nil || len(got.Mirrors) != 0 {
		t.Errorf("a missing file gave %v, %v", got, err)
	}
}

func TestHostsFiles(t *testing.T) {
	r := &Registries{
		Mirrors: map[string]Mirror{
			"docker.io": {Endpoints: []string{"http://one:5000", "https://two/v2/proxy"}},
			"*":         {Endpoints: []string{"https://all"}},
		},
		Configs: map[string]RegistryConfig{"two": {TLS: &TLS{CAFile: "/ca.pem", CertFile: "/c", KeyFile: "/k"}}},
	}
	header := "# Generated at each start from registries.yaml. DO NOT EDIT.\n"
	one := "\n[host.\"http://one:5000\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
	two := "override_path = true\nca = [\"/ca.pem\"]\nclient = [[\"/c\", \"/k\"]]\n"
	for _, test := range []struct {
		name      string
		noDefault bool
		wanted    string
	}{
		{"docker.io", false, header + "server = \"https://registry-1.docker.io\"\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n" +
			one + "\n[host.\"https://two/v2/proxy\"]\ncapabilities = [\"pull\", \"resolve\"]\n" + two},
		{"docker.io", true, header + "server = \"https://two/v2/proxy\"\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n" + two + one},
		{"*", false, header + "\n[host.\"https://all\"]\ncapabilities = [\"pull\", \"resolve\"]\n"},
	} {
		if got := r.hosts(test.name, test.noDefault); got != test.wanted {
			t.Errorf("%s (no default %t):\n%s\nwanted:\n%s", test.name, test.noDefault, got, test.wanted)
		}
	}
}

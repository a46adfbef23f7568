// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package flags

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast.internal/k3s/internal/journal"
)

func none(string) (string, bool) { return "", false }

func TestTheTableHasEveryFlagOfServerAndAgent(t *testing.T) {
	// The counts of the newest line that the contract describes, hidden flags included.
	if server, agent := len(For("server")), len(For("agent")); server != 125 || agent != 46 {
		t.Fatalf("server %d flags, agent %d", server, agent)
	}
}

func TestFlagErrorsAreWordedAsTheContractQuotesThem(t *testing.T) {
	for arguments, want := range map[string]string{
		"--no-such":          "flag provided but not defined: -no-such",
		"--lb-server-port=x": `invalid value "x" for flag -lb-server-port: parse error`,
		"--debug=maybe":      `invalid boolean value "maybe" for -debug: parse error`,
		"--debug=":           `invalid boolean value "" for -debug: parse error`,
		"--token":            "flag needs an argument: -token",
	} {
		_, _, err := Parse("agent", []string{arguments}, none)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", arguments, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func expand(t *testing.T, verb string, files map[string]string, arguments ...string) ([]string, error) {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(directory, name), text)
	}
	environment := func(name string) (string, bool) {
		return filepath.Join(directory, "config.yaml"), name == "K3S_CONFIG_FILE"
	}
	return Expand(verb, arguments, environment)
}

func TestTheConfigurationFileBecomesFlagsBeforeTheRealOnes(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"scalars and lists": {
			map[string]string{"config.yaml": "token: abc\nnode-label: [a=b, c=d]\nt: x\n"},
			"--token=abc --node-label=a=b --node-label=c=d -t=x --debug",
		},
		"an empty value and an empty list": {
			map[string]string{"config.yaml": "token:\nnode-label: []\n"}, "--token= --debug",
		},
		"unquoted octal is a number": {
			map[string]string{"config.yaml": "write-kubeconfig-mode: 0644\n"}, "--write-kubeconfig-mode=420 --debug",
		},
		"drop-ins alone are enough, suffix in any case": {
			map[string]string{"config.yaml.d/b.YML": "token: b\n", "config.yaml.d/x.txt": "token: c\n"}, "--token=b --debug",
		},
		"later files replace, key+ adds": {
			map[string]string{
				"config.yaml":          "token: a\nnode-label: a=1\ntls-san: [w]\n",
				"config.yaml.d/1.yaml": "token: b\nnode-label+: b=2\ntls-san: z\n",
				"config.yaml.d/2.yaml": "node-label+: [c=3]\nnode-taint+: t\n",
			},
			"--token=b --node-label=a=1 --node-label=b=2 --node-label=c=3 --tls-san=z --node-taint=t --debug",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := expand(t, "server", test.files, "--debug")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAnUnknownKeyIsDroppedByAServerAndStopsAnAgent(t *testing.T) {
	var lines bytes.Buffer
	journal.SetOutput(&lines)
	defer journal.SetOutput(os.Stderr)
	files := map[string]string{"config.yaml": "no-such-key: 1\ntoken: x\n"}
	got, err := expand(t, "server", files)
	if err != nil || !slices.Equal(got, []string{"--token=x"}) {
		t.Errorf("server: %q, %v", got, err)
	}
	if !strings.Contains(lines.String(), `level=warning msg="Unknown flag --no-such-key found in config.yaml, skipping"`) {
		t.Errorf("no warning: %s", lines.String())
	}
	got, err = expand(t, "agent", files)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = Parse("agent", got, none); err == nil || err.Error() != "flag provided but not defined: -no-such-key" {
		t.Errorf("agent: %v", err)
	}
}

func TestBrokenYAMLIsAnErrorWithItsLine(t *testing.T) {
	_, err := expand(t, "server", map[string]string{"config.yaml": "token: a\n  b: c\n"})
	if err == nil || !strings.HasPrefix(err.Error(), "yaml: line ") {
		t.Errorf("got %v", err)
	}
	if _, err = expand(t, "server", map[string]string{"config.yaml": "- a\n"}); err == nil {
		t.Error("a list was taken as a configuration")
	}
}

func TestTheCommandLineBeatsTheFileBeatsTheEnvironmentBeatsTheDefault(t *testing.T) {
	environment := func(name string) (string, bool) {
		value, found := map[string]string{"K3S_TOKEN": "environment", "K3S_LB_SERVER_PORT": "7777"}[name]
		return value, found
	}
	set, _, err := Parse("agent", []string{"--token=file", "-t", "line", "--node-label=a,b", "--node-label=c"}, environment)
	if err != nil {
		t.Fatal(err)
	}
	if set.String("token") != "line" || set.Int("lb-server-port") != 7777 || set.String("snapshotter") != "overlayfs" {
		t.Errorf("token %s, port %d", set.String("token"), set.Int("lb-server-port"))
	}
	if labels := set.List("node-label"); !slices.Equal(labels, []string{"a,b", "c"}) {
		t.Errorf("labels %q", labels)
	}
	if set.Given("snapshotter") || !set.Given("token") {
		t.Error("Given is wrong")
	}
}

func TestTheOlderSpellingAddsToTheNewerOne(t *testing.T) {
	set, _, err := Parse("server", []string{"--kube-controller-arg=v=2", "--kube-controller-manager-arg=v=3"}, none)
	if err != nil {
		t.Fatal(err)
	}
	if values := set.List("kube-controller-manager-arg"); !slices.Equal(values, []string{"v=2", "v=3"}) {
		t.Errorf("got %q", values)
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package kubelet

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/hostfacts"
	"holdfast.internal/k3s/internal/settings"
)

func TestWhatPodsCanUseOfTheHostsResolvConf(t *testing.T) {
	for text, wanted := range map[string]bool{
		"nameserver 10.0.0.1\nsearch x\n":            true,
		"nameserver 127.0.0.53\n":                    false,
		"nameserver 10.0.0.1\nnameserver ::1\n":      false,
		"nameserver fe80::1%eth0\n":                  false,
		"# nameserver 10.0.0.1\noptions timeout:1\n": false,
		"nameserver 2001:db8::53\n":                  true,
		"nameserver dns.example\n":                   false,
	} {
		if got := usableByPods(text); got != wanted {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestOwnConfigFilesAreCopiedAndGoWithTheirArgument(t *testing.T) {
	directory := t.TempDir()
	source := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(source, []byte("maxPods: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, rest := takeOwnFiles([]string{"max-pods=5", "config=" + source, "--config-dir=" + filepath.Dir(source)})
	if !slices.Equal(rest, []string{"max-pods=5"}) {
		t.Errorf("rest is %v", rest)
	}
	if err := own.copyTo(directory); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{ownConfigName, filepath.Join(ownConfigDir, "own.yaml")} {
		if _, err := os.Stat(filepath.Join(directory, path)); err != nil {
			t.Error(err)
		}
	}
	if err := (ownFiles{}).copyTo(directory); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(directory); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	if err := (ownFiles{config: "/does/not/exist"}).copyTo(directory); err == nil {
		t.Error("a missing file was no error")
	}
}

func TestTheGeneratedFileHasTheDefaultsOfK3s(t *testing.T) {
	s := &settings.Settings{}
	s.DataDir = "/data"
	s.NodeIPs = []net.IP{net.ParseIP("10.0.0.1")}
	content, err := document(s, Options{ServiceLB: true}, hostfacts.Cgroups{Controllers: []string{"pids", "cpuset"}})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	hard := got["evictionHard"].(map[string]any)
	if len(hard) != 2 || hard["memory.available"] != nil {
		t.Errorf("evictionHard is %v", hard)
	}
	if got["failSwapOn"] != false || got["streamingConnectionIdleTimeout"] != "4h0m0s" || got["protectKernelDefaults"] != nil {
		t.Errorf("got\n%s", content)
	}
	if !strings.Contains(string(content), "net.ipv4.ip_forward") {
		t.Error("ServiceLB's sysctl is missing")
	}
}

func TestFlagsOfTheNode(t *testing.T) {
	s := &settings.Settings{}
	s.NodeName = "one"
	s.NodeIPs = []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")}
	s.NodeLabels = []string{"a=b", "c=d"}
	got := defaults(s, Options{Kubeconfig: "/k"})
	if got["node-ip"] != "10.0.0.1,2001:db8::1" || got["node-labels"] != "a=b,c=d" {
		t.Errorf("got %v", got)
	}
	if _, found := got["register-with-taints"]; found {
		t.Error("taints that nobody asked for")
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package kubelet

import (
	"net"
	"os"
	"path/filepath"
	"strings"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

// ResolvConf finds the file that pods with the node's own DNS get: the operator's, else the host's if pods can use what
// is in it, else one that is made up.
func ResolvConf(s *settings.Settings) (string, error) {
	if s.ResolvConf != "" {
		return s.ResolvConf, nil
	}
	for _, candidate := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		contents, err := os.ReadFile(candidate)
		if err == nil && usableByPods(string(contents)) {
			return candidate, nil
		}
	}
	path := filepath.Join(s.AgentDir(), "etc", "resolv.conf")
	if err := durable.Write(path, []byte("nameserver 8.8.8.8\n"), 0o644); err != nil {
		return "", err
	}
	journal.Warnf("Host resolv.conf includes loopback, link-local or no nameservers - using generated %s with nameserver 8.8.8.8; set resolv-conf", path)
	return path, nil
}

// usableByPods wants at least one nameserver, and none that means something else inside a pod.
func usableByPods(contents string) bool {
	found := false
	for line := range strings.Lines(contents) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		host, _, _ := strings.Cut(fields[1], "%")
		if address := net.ParseIP(host); address == nil || !address.IsGlobalUnicast() {
			return false
		}
		found = true
	}
	return found
}

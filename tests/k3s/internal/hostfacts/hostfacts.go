// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package hostfacts asks the kernel what it allows here, so that components are set up for real machines and for
// containers alike instead of for the one that somebody thought of.
package hostfacts

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const oomScore = "/proc/self/oom_score_adj"

// OOMScoreCanBeLowered tries it: reading capabilities would not tell what a user namespace or a sandbox refuses. The
// score is set back, and looked at once only, as children inherit it.
var OOMScoreCanBeLowered = sync.OnceValue(func() bool {
	before, err := os.ReadFile(oomScore)
	if err != nil {
		return false
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(before)))
	if err != nil {
		return false
	}
	if value <= -999 {
		return true
	}
	if os.WriteFile(oomScore, []byte(strconv.Itoa(value-1)), 0o644) != nil {
		return false
	}
	return os.WriteFile(oomScore, before, 0o644) == nil
})

// Cgroups says which control groups there are.
type Cgroups struct {
	Unified     bool
	Controllers []string
}

// ReadCgroups looks at this process' own groups (version 1) or at the root of the tree (version 2).
func ReadCgroups() Cgroups {
	unified, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err == nil {
		return Cgroups{Unified: true, Controllers: strings.Fields(string(unified))}
	}
	own, _ := os.ReadFile("/proc/self/cgroup")
	return Cgroups{Controllers: controllers(string(own))}
}

// controllers reads lines like 4:cpu,cpuacct:/path.
func controllers(own string) []string {
	var found []string
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[1] != "" {
			found = append(found, strings.Split(fields[1], ",")...)
		}
	}
	return found
}

// Has tells whether a controller is there.
func (c Cgroups) Has(controller string) bool { return slices.Contains(c.Controllers, controller) }

// Driver is systemd where systemd runs this program and manages version 2 groups, else cgroupfs. Kubelet and
// containerd must agree on it.
func (c Cgroups) Driver() string {
	if c.Unified && c.Has("cpuset") && os.Getenv("INVOCATION_ID") != "" {
		if _, err := os.Stat("/run/systemd/system"); err == nil {
			return "systemd"
		}
	}
	return "cgroupfs"
}

// BridgeIsFiltered tells whether packets between two pods of one node pass through iptables. Where they do not, the
// answer of a Service's endpoint on the same node bypasses the translation.
func BridgeIsFiltered() bool {
	value, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	return err == nil && strings.TrimSpace(string(value)) == "1"
}

// SetSysctl writes a kernel value unless it has it. Names are those of sysctl(8) with slashes.
func SetSysctl(name, value string) error {
	path := filepath.Join("/proc/sys", name)
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(before)) == value {
		return nil
	}
	return os.WriteFile(path, []byte(value), 0o644)
}

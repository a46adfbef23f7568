// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package hostfacts

import (
	"slices"
	"testing"
)

func TestControllersOfVersionOne(t *testing.T) {
	got := controllers("9:name=systemd:/init.scope\n8:pids:/a\n4:cpu,cpuacct:/b:c\n0::/x\n")
	if !slices.Equal(got, []string{"name=systemd", "pids", "cpu", "cpuacct"}) {
		t.Errorf("got %v", got)
	}
	if (Cgroups{Controllers: got}).Has("memory") {
		t.Error("found a controller that is not there")
	}
}

func TestTheProbeLeavesTheScoreAsItWas(t *testing.T) {
	// Whatever the answer here is, asking twice must give the same.
	if OOMScoreCanBeLowered() != OOMScoreCanBeLowered() {
		t.Error("two answers")
	}
}

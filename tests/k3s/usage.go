// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast.internal/k3s/internal/flags"
	"holdfast.internal/k3s/internal/verb"
	"holdfast.internal/k3s/internal/version"
)

// verbs are shown in this order.
var verbs = [][2]string{
	{"server", "Run management server"},
	{"agent", "Run node agent"},
	{"kubectl", "Run kubectl"},
	{"crictl", "Run crictl (a small client of our own)"},
	{"ctr", "Run ctr"},
	{"check-config", "Check the kernel and the control groups of this host"},
	{"token", "Manage tokens"},
	{"etcd-snapshot", "Manage etcd snapshots"},
	{"secrets-encrypt", "Control secrets encryption and keys rotation"},
	{"certificate", "Manage certificates"},
	{"completion", "Print a shell completion script (bash, zsh)"},
	{"help", "Show this text"},
}

func programUsage() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s - a %s for tests, with upstream Kubernetes %s inside\n\n", version.Program, version.Marker, version.Kubernetes())
	fmt.Fprintf(&text, "Usage: %s VERB [flags]\n\n", version.Program)
	for _, line := range verbs {
		fmt.Fprintf(&text, "  %-16s %s\n", line[0], line[1])
	}
	return text.String()
}

func verbUsage(name string, handlers map[string]verb.Command) string {
	return fmt.Sprintf("Usage: %s %s {%s} [flags]\n", version.Program, name,
		strings.Trim(strings.Join(slices.Sorted(maps.Keys(handlers)), ","), ","))
}

// flagUsage lists a verb's flags as they can be given; what hidden ones do is for those who look into the table.
func flagUsage(name string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage: %s %s [flags]\n\nFlags:\n", version.Program, name)
	for _, definition := range flags.For(name) {
		if definition.Hidden {
			continue
		}
		spelling := "--" + definition.Name
		for _, alias := range definition.Aliases {
			if len(alias) == 1 {
				spelling += ", -" + alias
			}
		}
		details := definition.Type
		if definition.Default != "" {
			details += ", default " + definition.Default
		}
		if definition.Env != "" {
			details += ", $" + definition.Env
		}
		fmt.Fprintf(&text, "  %-44s %s\n", spelling, details)
	}
	return text.String()
}

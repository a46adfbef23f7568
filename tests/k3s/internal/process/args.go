// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package process

import (
	"maps"
	"slices"
	"strings"
)

// MergeArgs joins a component's defaults with an operator's `kube-*-arg` values. `key=value` replaces the default and
// all repeated keys pass; `key+=value` goes after what is there, `key-=value` before it; a bare `key` means true; a
// leading `--` is optional. The result is sorted by key, as k3s logs it; values of one key keep their order.
func MergeArgs(defaults map[string]string, extra []string) []string {
	values := make(map[string][]string)
	for _, argument := range extra {
		name, value, found := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		if !found {
			value = "true"
		}
		key := strings.TrimRight(name, "+-")
		before, given := values[key]
		if initial, ok := defaults[key]; ok && !given && key != name {
			before = []string{initial}
		}
		if strings.HasSuffix(name, "-") {
			values[key] = append([]string{value}, before...)
		} else {
			values[key] = append(before, value)
		}
	}
	for key, value := range defaults {
		if _, given := values[key]; !given {
			values[key] = []string{value}
		}
	}
	var merged []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[key] {
			merged = append(merged, "--"+key+"="+value)
		}
	}
	return merged
}

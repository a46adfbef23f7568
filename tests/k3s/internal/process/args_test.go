// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package process

import (
	"slices"
	"testing"
)

func TestMergeArgsFollowsTheRulesOfTheContract(t *testing.T) {
	defaults := func() map[string]string {
		return map[string]string{"enable-admission-plugins": "NodeRestriction", "profiling": "false"}
	}
	for name, test := range map[string]struct{ extra, want []string }{
		"defaults alone, sorted": {nil, []string{"--enable-admission-plugins=NodeRestriction", "--profiling=false"}},
		"a value replaces the default": {
			[]string{"enable-admission-plugins=EventRateLimit"},
			[]string{"--enable-admission-plugins=EventRateLimit", "--profiling=false"},
		},
		"repeated keys all pass": {
			[]string{"feature-gates=A=true", "feature-gates=B=true"},
			[]string{"--enable-admission-plugins=NodeRestriction", "--feature-gates=A=true", "--feature-gates=B=true", "--profiling=false"},
		},
		"plus adds after, minus before": {
			[]string{"enable-admission-plugins+=X", "enable-admission-plugins-=Y"},
			[]string{
				"--enable-admission-plugins=Y", "--enable-admission-plugins=NodeRestriction", "--enable-admission-plugins=X",
				"--profiling=false",
			},
		},
		"a plain value after a plus keeps what was given": {
			[]string{"profiling+=true", "profiling=x"},
			[]string{"--enable-admission-plugins=NodeRestriction", "--profiling=false", "--profiling=true", "--profiling=x"},
		},
		"a bare key is true, dashes are optional": {
			[]string{"--profiling", "v=4"},
			[]string{"--enable-admission-plugins=NodeRestriction", "--profiling=true", "--v=4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			given := defaults()
			if got := MergeArgs(given, test.extra); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if len(given) != 2 {
				t.Error("the defaults were changed")
			}
		})
	}
}

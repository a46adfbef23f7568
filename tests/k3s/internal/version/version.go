// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package version says what this program is: a stand-in, never k3s itself.
package version

import (
	"fmt"
	"runtime"
	"strings"
)

// Program is the name of the command.
const Program = "k3s"

// Marker stands in every place where a version is shown.
const Marker = "stand-in"

var (
	// Version is set by the linker, for example v1.36.4+k3s1.
	Version = "v0.0.0+k3s1"
	// Commit is what real releases show in parentheses; here it says what this is.
	Commit = Marker
)

// Kubernetes is the version of the components, for example v1.36.4.
func Kubernetes() string {
	upstream, _, _ := strings.Cut(Version, "+")
	return upstream
}

// Text is the answer to --version: two lines, the version is the third word.
func Text() string {
	return fmt.Sprintf("%s version %s (%s)\ngo version %s\n", Program, Version, Commit, runtime.Version())
}

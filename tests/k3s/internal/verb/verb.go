// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package verb describes one call of a short-running command, such as `k3s token create`.
package verb

import (
	"context"
	"io"
	"path/filepath"

	"holdfast.internal/k3s/internal/flags"
)

// Call is what a command gets to work with.
type Call struct {
	// Name is the whole verb, for example "token create".
	Name string
	// Args are the arguments after the flags.
	Args   []string
	Flags  *flags.Set
	Stdout io.Writer
	Stderr io.Writer
	// DataDir is <data-dir>, BinDir the folder of the unpacked components.
	DataDir string
	BinDir  string
}

// Command runs one call. Its error becomes a level=fatal line and exit status 1.
type Command func(ctx context.Context, call *Call) error

// ServerDir is <data-dir>/server.
func (c *Call) ServerDir() string { return filepath.Join(c.DataDir, "server") }

// AgentDir is <data-dir>/agent.
func (c *Call) AgentDir() string { return filepath.Join(c.DataDir, "agent") }

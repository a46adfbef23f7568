// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/crictl"
	"holdfast.internal/k3s/internal/flags"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/process"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/shutdown"
	"holdfast.internal/k3s/internal/title"
	"holdfast.internal/k3s/internal/tools"
	"holdfast.internal/k3s/internal/unpack"
	"holdfast.internal/k3s/internal/version"
)

// stopGrace is how long each stage of children may take to end before it is killed.
const stopGrace = 5 * time.Second

// start runs `k3s server` or `k3s agent` until a signal or a component's end.
func start(name string, arguments []string) error {
	expanded, err := flags.Expand(name, arguments, os.LookupEnv)
	if err != nil {
		return err
	}
	set, _, err := flags.Parse(name, expanded, os.LookupEnv)
	if err != nil {
		return explain(name, err)
	}
	journal.SetDebug(set.Bool("debug"))
	if err := logTo(set.String("log"), set.Bool("alsologtostderr")); err != nil {
		return err
	}
	unpacked, err := prepare(arguments)
	if err != nil {
		return err
	}
	ctx := shutdown.Context()
	source := settings.Source{
		Flags: set, Arguments: append([]string{name}, expanded...), Unpacked: unpacked, DataDir: orDefault(set.String("data-dir")),
	}
	title.Set(os.Args[0] + " " + name)
	runRole, build := runServer, settings.Server
	if name == "agent" {
		runRole, build = runAgent, settings.Agent
	}
	announce(name)
	complete, err := build(ctx, source)
	if err != nil {
		return err
	}
	return supervise(ctx, func() error { return runRole(ctx, complete) })
}

// announce is the first line of every start; it says what runs here.
func announce(name string) {
	word := version.Program
	if name == "agent" {
		word += " agent"
	}
	journal.Infof("Starting %s %s (%s; components are upstream Kubernetes %s)",
		word, version.Version, version.Commit, version.Kubernetes())
}

// supervise waits for the end of the role, and takes the components with it in their order.
func supervise(ctx context.Context, role func() error) error {
	result := make(chan error, 1)
	go func() { result <- role() }()
	var err error
	select {
	case err = <-result:
		if err == nil {
			// The role has started all that it starts; now it lives until something ends it.
			<-ctx.Done()
		}
	case <-ctx.Done():
	}
	process.StopAll(stopGrace)
	if cause := shutdown.Cause(); cause != nil {
		// Its line is in the journal already.
		os.Exit(1)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// prepare finds the data directory for the components and unpacks them there. Its order is not the flags' own: the
// environment comes first, because that is how the real one's outer program looks for it.
func prepare(arguments []string) (*unpack.Unpacked, error) {
	dataDir, err := unpackDir(arguments)
	if err != nil {
		return nil, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	unpacked, err := unpack.Ensure(executable, dataDir)
	if err != nil {
		return nil, err
	}
	bundledFirst, err := configured(arguments, []string{"prefer-bundled-bin"}, "false")
	if err != nil {
		return nil, err
	}
	auxiliary := filepath.Join(unpacked.BinDir, "aux")
	path := []string{unpacked.CNIBinDir, unpacked.BinDir, os.Getenv("PATH"), auxiliary}
	if bundledFirst == "true" {
		path = []string{unpacked.CNIBinDir, unpacked.BinDir, auxiliary, os.Getenv("PATH")}
	}
	return unpacked, os.Setenv("PATH", strings.Join(path, string(os.PathListSeparator)))
}

func unpackDir(arguments []string) (string, error) {
	if dataDir := os.Getenv("K3S_DATA_DIR"); dataDir != "" {
		return dataDir, nil
	}
	found, err := configured(arguments, []string{"data-dir", "d"}, "")
	return orDefault(found), err
}

// configured looks a value up on the command line, then in the configuration file, whatever the verb.
func configured(arguments []string, names []string, fallback string) (string, error) {
	if value := flags.FindArgument(arguments, names, ""); value != "" {
		return value, nil
	}
	entries, err := flags.ReadConfig(flags.ConfigPath(arguments, os.LookupEnv))
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if entry.Key == names[0] && len(entry.Values) > 0 {
			fallback = entry.Values[len(entry.Values)-1]
		}
	}
	return fallback, nil
}

// orDefault gives root's data directory, or the user's own, where none was named.
func orDefault(dataDir string) string {
	if dataDir != "" || os.Geteuid() == 0 {
		if dataDir == "" {
			dataDir = settings.DefaultDataDir
		}
		absolute, err := filepath.Abs(dataDir)
		if err != nil {
			return dataDir
		}
		return absolute
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".rancher", "k3s")
}

// tool runs kubectl, crictl or ctr. Their own arguments are theirs; only what stood before the verb is looked at here.
func tool(name string, arguments, before []string) error {
	global := before[:len(before)-len(arguments)]
	unpacked, err := prepare(global)
	if err != nil {
		return err
	}
	switch name {
	case "kubectl":
		return tools.Kubectl(unpacked.BinDir, arguments)
	case "ctr":
		return tools.Ctr(unpacked.BinDir, arguments)
	default:
		dataDir, err := unpackDir(global)
		if err != nil {
			return err
		}
		// It ends with the client's own status.
		os.Exit(crictl.Main(dataDir, arguments))
		return nil
	}
}

// logTo sends the program's lines to a file, besides or instead of stderr.
func logTo(path string, stderrToo bool) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if stderrToo {
		journal.SetOutput(teeWriter{file, os.Stderr})
	} else {
		journal.SetOutput(file)
		os.Stderr = file
	}
	return nil
}

type teeWriter [2]*os.File

func (t teeWriter) Write(data []byte) (int, error) {
	_, _ = t[1].Write(data)
	return t[0].Write(data)
}

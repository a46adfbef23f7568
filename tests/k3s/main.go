// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Command k3s is a stand-in for k3s in tests: real upstream components behind k3s' command line, files, logs and join
// protocol. README.md says what it does not do.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast.internal/k3s/internal/flags"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/notify"
	"holdfast.internal/k3s/internal/shutdown"
	"holdfast.internal/k3s/internal/verb"
	"holdfast.internal/k3s/internal/version"
)

func main() {
	notify.Keep()
	// The process title is written over the memory of os.Args, so nothing may be cut out of it: flag values would change.
	arguments := make([]string, len(os.Args))
	for index, argument := range os.Args {
		arguments[index] = strings.Clone(argument)
	}
	if err := run(arguments); err != nil {
		journal.Fatal(err)
	}
}

// run finds the verb: the name of the program for the three linked tools, the first argument otherwise.
func run(arguments []string) error {
	name := filepath.Base(arguments[0])
	rest := arguments[1:]
	if slices.Contains([]string{"kubectl", "crictl", "ctr"}, name) {
		return tool(name, rest, rest)
	}
	global := rest
	rest, err := skipGlobalFlags(rest)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		fmt.Print(programUsage())
		return nil
	}
	name, rest = rest[0], rest[1:]
	switch name {
	case "help", "h":
		fmt.Print(programUsage())
		return nil
	case "version":
		fmt.Print(version.Text())
		return nil
	case "kubectl", "crictl", "ctr":
		return tool(name, rest, global)
	case "server", "agent":
		return start(name, rest)
	case "check-config":
		return checkConfig()
	case "completion":
		return completion(rest)
	}
	if _, found := commands[name]; found {
		return command(name, rest)
	}
	fmt.Print(programUsage())
	return fmt.Errorf("No help topic for '%s'", name)
}

// skipGlobalFlags handles what stands before the verb.
func skipGlobalFlags(arguments []string) ([]string, error) {
	for len(arguments) > 0 && strings.HasPrefix(arguments[0], "-") {
		name, _, joined := strings.Cut(strings.TrimLeft(arguments[0], "-"), "=")
		switch name {
		case "version", "v":
			fmt.Print(version.Text())
			os.Exit(0)
		case "help", "h":
			fmt.Print(programUsage())
			os.Exit(0)
		case "debug":
			journal.SetDebug(true)
		case "data-dir", "d":
			if !joined && len(arguments) > 1 {
				arguments = arguments[1:]
			}
		default:
			fmt.Print(programUsage())
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		}
		arguments = arguments[1:]
	}
	return arguments, nil
}

// command runs one of the short verbs, with or without a sub-command.
func command(name string, arguments []string) error {
	handlers := commands[name]
	if len(arguments) > 0 && handlers[arguments[0]] != nil {
		return call(handlers[arguments[0]], name+" "+arguments[0], arguments[1:])
	}
	if len(arguments) > 0 && slices.Contains([]string{"-h", "--help", "help"}, arguments[0]) || handlers[""] == nil {
		fmt.Print(verbUsage(name, handlers))
		if len(arguments) > 0 && !strings.Contains(arguments[0], "help") && arguments[0] != "-h" {
			return fmt.Errorf("No help topic for '%s'", arguments[0])
		}
		return nil
	}
	return call(handlers[""], name, arguments)
}

func call(handler verb.Command, name string, arguments []string) error {
	expanded, err := flags.Expand(name, arguments, os.LookupEnv)
	if err != nil {
		return err
	}
	set, rest, err := flags.Parse(name, expanded, os.LookupEnv)
	if err != nil {
		return explain(name, err)
	}
	unpacked, err := prepare(arguments)
	if err != nil {
		return err
	}
	journal.SetDebug(set.Bool("debug"))
	return handler(shutdown.Context(), &verb.Call{
		Name: name, Args: rest, Flags: set, Stdout: os.Stdout, Stderr: os.Stderr,
		DataDir: orDefault(set.String("data-dir")), BinDir: unpacked.BinDir,
	})
}

// explain prints the usage text where a command line does not fit, as the parser of the real one does.
func explain(name string, err error) error {
	var help flags.HelpError
	if errors.As(err, &help) {
		fmt.Print(flagUsage(name))
		os.Exit(0)
	}
	var usage flags.UsageError
	if errors.As(err, &usage) {
		fmt.Printf("Incorrect Usage: %v\n\n%s", err, flagUsage(name))
	}
	return err
}

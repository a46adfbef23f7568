// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"strings"

	"holdfast.internal/k3s/internal/checkconfig"
	"holdfast.internal/k3s/internal/version"
)

// completion prints a script for bash or zsh; other words of a line are completed as files.
func completion(arguments []string) error {
	var names []string
	for _, line := range verbs {
		names = append(names, line[0])
	}
	words := strings.Join(names, " ")
	if len(arguments) != 1 {
		return fmt.Errorf("must provide a valid SHELL argument: bash or zsh")
	}
	switch arguments[0] {
	case "bash":
		fmt.Printf("_%[1]s() { [ \"$COMP_CWORD\" -eq 1 ] && COMPREPLY=($(compgen -W '%[2]s' -- \"${COMP_WORDS[1]}\")); }\n"+
			"complete -o default -F _%[1]s %[1]s\n", version.Program, words)
	case "zsh":
		fmt.Printf("#compdef %[1]s\n_%[1]s() { (( CURRENT == 2 )) && compadd %[2]s || _files; }\ncompdef _%[1]s %[1]s\n", version.Program, words)
	default:
		return fmt.Errorf("unknown shell: %s", arguments[0])
	}
	return nil
}

// checkConfig ends the program with the number of failed checks.
func checkConfig() error {
	os.Exit(checkconfig.Run(os.Stdout))
	return nil
}

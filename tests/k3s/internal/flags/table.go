// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package flags knows every flag of every verb and merges its sources: the command line, the configuration file, the
// environment, the default.
package flags

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed table.txt
var tableText string

// Definition is one flag as the table has it.
type Definition struct {
	Verbs   []string
	Name    string
	Type    string
	Aliases []string
	Env     string
	Default string
	// Same names the flag whose values this spelling adds to.
	Same   string
	Hidden bool
}

var table = mustParseTable(tableText)

// For gives the flags of a verb; a sub-command ("token create") also has those of its verb.
func For(verb string) []Definition {
	parent, _, _ := strings.Cut(verb, " ")
	var found []Definition
	for _, definition := range table {
		if slices.Contains(definition.Verbs, verb) || slices.Contains(definition.Verbs, parent) {
			found = append(found, definition)
		}
	}
	return found
}

// Knows tells whether a verb has a flag of this name or alias.
func Knows(verb, name string) bool {
	for _, definition := range For(verb) {
		if definition.Name == name || slices.Contains(definition.Aliases, name) {
			return true
		}
	}
	return false
}

func mustParseTable(text string) []Definition {
	var definitions []Definition
	for number, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		definition, err := parseLine(line)
		if err != nil {
			panic(fmt.Sprintf("flag table, line %d: %v", number+1, err))
		}
		definitions = append(definitions, definition)
	}
	return definitions
}

func parseLine(line string) (Definition, error) {
	verbs, rest := word(line)
	name, rest := word(rest)
	kind, rest := word(rest)
	if !slices.Contains([]string{"string", "bool", "int", "duration", "list"}, kind) {
		return Definition{}, fmt.Errorf("no such type: %q", kind)
	}
	definition := Definition{Name: name, Type: kind}
	for verb := range strings.SplitSeq(verbs, ",") {
		definition.Verbs = append(definition.Verbs, strings.ReplaceAll(verb, "_", " "))
	}
	for option := range strings.SplitSeq(rest, "|") {
		key, value, _ := strings.Cut(strings.TrimSpace(option), "=")
		switch key {
		case "":
		case "alias":
			definition.Aliases = strings.Split(value, ",")
		case "env":
			definition.Env = value
		case "default":
			definition.Default = value
		case "same":
			definition.Same = value
		case "hidden":
			definition.Hidden = true
		default:
			return Definition{}, fmt.Errorf("no such option: %q", key)
		}
	}
	return definition, nil
}

func word(text string) (first, rest string) {
	text = strings.TrimLeft(text, " ")
	first, rest, _ = strings.Cut(text, " ")
	return first, strings.TrimLeft(rest, " ")
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package flags

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Environment looks a variable up; os.LookupEnv in the program.
type Environment func(string) (string, bool)

// Set holds the values of one verb's flags after all sources were merged.
type Set struct {
	Verb   string
	values map[string][]string
	given  map[string]bool
	types  map[string]string
}

// HelpError is returned for -h and --help.
type HelpError struct{ Verb string }

func (e HelpError) Error() string { return "help requested for " + e.Verb }

// UsageError is a command line that does not fit the table; the program prints the usage text before it.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the flag parser's own error.
func (e UsageError) Unwrap() error { return e.Err }

// Parse reads the arguments after the verb. It stops at the first argument that is no flag and returns the rest.
func Parse(verb string, arguments []string, environment Environment) (*Set, []string, error) {
	set := &Set{Verb: verb, values: map[string][]string{}, given: map[string]bool{}, types: map[string]string{}}
	parser := flag.NewFlagSet(verb, flag.ContinueOnError)
	parser.SetOutput(io.Discard)
	definitions := For(verb)
	for _, definition := range definitions {
		set.types[definition.Name] = definition.Type
		target := definition.Name
		if definition.Same != "" {
			target = definition.Same
		}
		value := &recorder{set: set, name: target, kind: definition.Type}
		for _, spelling := range append([]string{definition.Name}, definition.Aliases...) {
			parser.Var(value, spelling, "")
		}
	}
	if err := parser.Parse(arguments); errors.Is(err, flag.ErrHelp) {
		return nil, nil, HelpError{Verb: verb}
	} else if err != nil {
		return nil, nil, UsageError{Err: err}
	}
	for _, definition := range definitions {
		if set.given[definition.Name] || definition.Same != "" {
			continue
		}
		if err := set.fill(definition, environment); err != nil {
			return nil, nil, err
		}
	}
	return set, parser.Args(), nil
}

// fill takes a value that was not given from the environment, else from the table.
func (s *Set) fill(definition Definition, environment Environment) error {
	if definition.Env != "" {
		if text, found := environment(definition.Env); found && text != "" {
			if err := check(definition.Type, text); err != nil {
				return fmt.Errorf("could not parse %q as %s value from environment variable %q for flag %s: %w",
					text, definition.Type, definition.Env, definition.Name, err)
			}
			s.values[definition.Name] = []string{text}
			s.given[definition.Name] = true
			return nil
		}
	}
	if definition.Default != "" {
		s.values[definition.Name] = []string{definition.Default}
	}
	return nil
}

// String gives the last value, or "".
func (s *Set) String(name string) string {
	s.mustKnow(name)
	values := s.values[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Bool gives a switch.
func (s *Set) Bool(name string) bool {
	on, _ := strconv.ParseBool(s.String(name))
	return on
}

// Int gives a number.
func (s *Set) Int(name string) int {
	number, _ := strconv.ParseInt(s.String(name), 0, 64)
	return int(number)
}

// Duration gives a span of time.
func (s *Set) Duration(name string) time.Duration {
	span, _ := time.ParseDuration(s.String(name))
	return span
}

// List gives all values in the order of their sources.
func (s *Set) List(name string) []string {
	s.mustKnow(name)
	return append([]string(nil), s.values[name]...)
}

// Given tells whether any source but the table set the flag.
func (s *Set) Given(name string) bool {
	s.mustKnow(name)
	return s.given[name]
}

// Has tells whether the verb has this flag at all.
func (s *Set) Has(name string) bool { return s.types[name] != "" }

// mustKnow catches a misspelt name in our own code, which would otherwise read as "not set" for ever.
func (s *Set) mustKnow(name string) {
	if s.types[name] == "" {
		panic(fmt.Sprintf("%s has no flag %q", s.Verb, name))
	}
}

// recorder is the flag package's view of one flag.
type recorder struct {
	set  *Set
	name string
	kind string
}

func (r *recorder) String() string { return "" }

// IsBoolFlag lets a switch stand without a value.
func (r *recorder) IsBoolFlag() bool { return r.kind == "bool" }

func (r *recorder) Set(text string) error {
	if err := check(r.kind, text); err != nil {
		return err
	}
	if r.kind == "list" {
		r.set.values[r.name] = append(r.set.values[r.name], text)
	} else {
		r.set.values[r.name] = []string{text}
	}
	r.set.given[r.name] = true
	return nil
}

// errParse is worded as the standard flag package words it.
type errParse struct{}

func (errParse) Error() string { return "parse error" }

func check(kind, text string) error {
	var err error
	switch kind {
	case "bool":
		_, err = strconv.ParseBool(text)
	case "int":
		_, err = strconv.ParseInt(text, 0, 64)
	case "duration":
		_, err = time.ParseDuration(text)
	}
	if err != nil {
		return errParse{}
	}
	return nil
}

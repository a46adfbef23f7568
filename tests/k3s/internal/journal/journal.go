// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package journal writes the program's own log lines, in the text form that k3s' lines have in a journal:
//
//	time="2026-01-02T03:04:05Z" level=info msg="Running kubelet --…"
//
// Operators and roles search journals for these lines, so their form is part of the contract.
package journal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	mutex  sync.Mutex
	output io.Writer = os.Stderr
	debug  atomic.Bool
)

// SetDebug switches level=debug lines on.
func SetDebug(on bool) { debug.Store(on) }

// DebugEnabled tells whether level=debug lines are written.
func DebugEnabled() bool { return debug.Load() }

// SetOutput redirects all lines; tests and the `log` flag use it.
func SetOutput(w io.Writer) {
	mutex.Lock()
	defer mutex.Unlock()
	output = w
}

// Debugf writes a level=debug line if debugging is on.
func Debugf(format string, args ...any) {
	if debug.Load() {
		write("debug", fmt.Sprintf(format, args...))
	}
}

// Infof writes a level=info line.
func Infof(format string, args ...any) { write("info", fmt.Sprintf(format, args...)) }

// Warnf writes a level=warning line.
func Warnf(format string, args ...any) { write("warning", fmt.Sprintf(format, args...)) }

// Errorf writes a level=error line.
func Errorf(format string, args ...any) { write("error", fmt.Sprintf(format, args...)) }

// Fatalf writes a level=fatal line and ends the program with status 1.
func Fatalf(format string, args ...any) {
	write("fatal", fmt.Sprintf(format, args...))
	os.Exit(1)
}

// Fatal ends the program with status 1 and the error's own text as level=fatal line.
func Fatal(err error) { Fatalf("%v", err) }

// Format renders one line, newline included.
func Format(at time.Time, level, message string) string {
	return "time=" + quote(at.Format(time.RFC3339)) + " level=" + level + " msg=" + quote(message) + "\n"
}

func write(level, message string) {
	line := Format(time.Now(), level, message)
	mutex.Lock()
	defer mutex.Unlock()
	_, _ = io.WriteString(output, line)
}

// quote puts quotes round a value unless it is one plain word.
func quote(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/@^+", r)
	}
	for _, r := range value {
		if !plain(r) {
			return strconv.Quote(value)
		}
	}
	if value == "" {
		return `""`
	}
	return value
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package crictl

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFlagsAndArgumentsInAnyOrder(t *testing.T) {
	o, rest, err := parse("rmi", []string{"one", "--all", "two", "-q"}, "all", "quiet", "q")
	if err != nil || !o.all || !o.quiet || !slices.Equal(rest, []string{"one", "two"}) {
		t.Errorf("%+v, %v, %v", o, rest, err)
	}
	if _, _, err := parse("ps", []string{"-o", "xml"}, "o"); err == nil {
		t.Error("an unknown format was accepted")
	}
}

func TestEveryCommandsFlagsAreDefined(t *testing.T) {
	for name, one := range commands {
		// A flag that nobody defined panics in define; a help request ends before the runtime is asked.
		if err := one.run(&tool{ctx: t.Context(), out: &bytes.Buffer{}}, []string{"-h"}); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s -h: %v", name, err)
		}
	}
}

func TestWhatTheRuntimePutsBeforeLogLinesIsTakenOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	text := "2026-01-01T00:00:00Z stdout F first\n2026-01-01T00:00:01Z stdout P half \n2026-01-01T00:00:02Z stderr F whole\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := plainLine("2026-01-01T00:00:00Z stdout P a b\n", false); got != "a b" {
		t.Errorf("got %q", got)
	}
	if got := plainLine("2026-01-01T00:00:00Z stdout F a\n", true); got != "2026-01-01T00:00:00Z a\n" {
		t.Errorf("got %q", got)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for bytes, wanted := range map[uint64]string{12: "12B", 1234: "1.23kB", 76523520: "76.5MB", 999950: "1000kB"} {
		if got := size(bytes); got != wanted {
			t.Errorf("size(%d) = %s, wanted %s", bytes, got, wanted)
		}
	}
	for passed, wanted := range map[time.Duration]string{
		0: "Less than a second ago", 90 * time.Second: "1 minute ago", 3 * time.Hour: "3 hours ago", 72 * time.Hour: "3 days ago",
	} {
		if got := ago(time.Now().Add(-passed).UnixNano()); got != wanted {
			t.Errorf("%s: %s", passed, got)
		}
	}
}

func TestTheEndpointComesFromTheFirstFileThatIsThere(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "agent", "etc", "crictl.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("runtime-endpoint: unix:///own.sock\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := configured("", directory); err != nil || got != "unix:///own.sock" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := configured("/does/not/exist", directory); err == nil {
		t.Error("a missing file that was named is no error")
	}
	err := run(t.Context(), directory, []string{"frobnicate"}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "no such command") {
		t.Errorf("got %v", err)
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package title

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTheProcessListForgetsTheArguments(t *testing.T) {
	if os.Getenv("TITLE_CHILD") != "" {
		given := strings.Join(os.Args[1:], " ")
		Set("k3s server")
		shown, _ := os.ReadFile("/proc/self/cmdline")
		os.Stdout.WriteString("[" + strings.TrimRight(string(shown), "\x00") + "|" + given + "|" + strings.Join(os.Args[1:], " ") + "]")
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=TestTheProcessListForgetsTheArguments", "--token=secret")
	child.Args = []string{os.Args[0], "-test.run=TestTheProcessListForgetsTheArguments", "--", "token=secret"}
	child.Env = append(os.Environ(), "TITLE_CHILD=1")
	said, err := child.Output()
	want := "-test.run=TestTheProcessListForgetsTheArguments -- token=secret"
	if err != nil || string(said) != "[k3s server|"+want+"|"+want+"]" {
		t.Errorf("got %s, %v", said, err)
	}
}

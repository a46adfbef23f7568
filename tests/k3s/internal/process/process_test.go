// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test binary be the parent that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_PARENT") == "" {
		os.Exit(m.Run())
	}
	child, err := Start(Spec{Name: "sleep", Path: "/bin/sleep", Args: []string{"600"}, OnExit: func(error) {}})
	if err != nil {
		panic(err)
	}
	fmt.Println(child.Pid())
	time.Sleep(10 * time.Minute)
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func TestAChildDiesWithAParentThatIsKilled(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PROCESS_PARENT=1")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !alive(child) {
		t.Fatalf("the child %q does not live: %v", line, err)
	}
	// Idle threads of the Go runtime end by themselves; the child must not end with one of them.
	time.Sleep(500 * time.Millisecond)
	if !alive(child) {
		t.Fatal("the child died with a thread")
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	eventually(t, "the child is gone", func() bool { return !alive(child) || zombie(child) })
}

// zombie: whoever adopts orphans on this machine may not reap them.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestAnExitIsReportedWithItsReason(t *testing.T) {
	reasons := make(chan error, 1)
	child, err := Start(Spec{Name: "sh", Path: "/bin/sh", Args: []string{"-c", "exit 7"}, OnExit: func(err error) { reasons <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if reason := <-reasons; reason.Error() != "exit status 7" {
		t.Errorf("got %v", reason)
	}
	<-child.Done()
	if child.Err() == nil {
		t.Error("an ended child has no reason")
	}
}

func TestAChildThatIgnoresTheSignalIsKilledAfterTheGrace(t *testing.T) {
	child, err := Start(Spec{Name: "sh", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; while :; do sleep 1; done"}, OnExit: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	begin := time.Now()
	child.Stop(300 * time.Millisecond)
	if took := time.Since(begin); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

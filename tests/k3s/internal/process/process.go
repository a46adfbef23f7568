// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package process runs the components as children that cannot outlive the program, whatever ends it.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/shutdown"
)

// Stage says when a child is stopped: the highest stage first, so that nothing loses its API or its store too early.
type Stage int

// The stages, in the order of a start; Stop goes through them backwards.
const (
	StageStore   Stage = iota // etcd
	StageRuntime              // kube-apiserver, containerd
	StageClient               // everything that speaks to these
)

// Spec describes one child.
type Spec struct {
	// Name is what the journal shows after "Running", for example kube-apiserver.
	Name string
	// ExitName is what the journal shows before "exited", for example apiserver; Name if empty.
	ExitName string
	// Path is the executable; the multicall program looks at Argv0 (Name if empty).
	Path  string
	Argv0 string
	Args  []string
	// Env is added to the program's environment; a later value of a key wins.
	Env []string
	Dir string
	// Log receives stdout and stderr; nil means the program's own stderr, hence the journal.
	Log   *os.File
	Stage Stage
	// OnExit, if set, replaces the default answer to an exit, which is to end the whole program.
	OnExit func(err error)
}

// Child is a started process.
type Child struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

var (
	starts   = make(chan func())
	starter  sync.Once
	mutex    sync.Mutex
	children []*Child
	stopping bool
)

// Start runs a child, writes "Running NAME ARGS" and watches it: when it ends before the program is asked to, the
// program ends with "Shutdown request received: NAME exited: …".
func Start(spec Spec) (*Child, error) {
	if spec.ExitName == "" {
		spec.ExitName = spec.Name
	}
	if spec.Argv0 == "" {
		spec.Argv0 = spec.Name
	}
	command := exec.Command(spec.Path)
	command.Args = append([]string{spec.Argv0}, spec.Args...)
	command.Env = append(os.Environ(), spec.Env...)
	command.Dir = spec.Dir
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if spec.Log != nil {
		command.Stdout, command.Stderr = spec.Log, spec.Log
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	child := &Child{spec: spec, cmd: command, done: make(chan struct{})}
	journal.Infof("Running %s %s", spec.Name, strings.Join(spec.Args, " "))
	mutex.Lock()
	if stopping {
		mutex.Unlock()
		return nil, fmt.Errorf("%s: the program is stopping", spec.Name)
	}
	err := onLivingThread(command.Start)
	if err == nil {
		children = append(children, child)
	}
	mutex.Unlock()
	if err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", spec.Name, err)
	}
	go child.watch()
	return child, nil
}

// onLivingThread starts a process from a thread that lives as long as the program: the kernel sends the parent-death
// signal when the *thread* that forked ends, and Go ends idle threads.
func onLivingThread(start func() error) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for work := range starts {
				work()
			}
		}()
	})
	result := make(chan error, 1)
	starts <- func() { result <- start() }
	return <-result
}

func (c *Child) watch() {
	err := c.cmd.Wait()
	if err == nil {
		err = errors.New("exit status 0")
	}
	c.err = err
	mutex.Lock()
	asked := stopping
	for index, other := range children {
		if other == c {
			children = append(children[:index], children[index+1:]...)
			break
		}
	}
	mutex.Unlock()
	close(c.done)
	switch {
	case asked:
	case c.spec.OnExit != nil:
		c.spec.OnExit(err)
	default:
		shutdown.Request(fmt.Errorf("%s exited: %w", c.spec.ExitName, err))
	}
}

// Pid is the child's process id.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is the reason of the end; valid once Done is closed, and never nil then.
func (c *Child) Err() error { return c.err }

// Signal sends a signal to the child alone.
func (c *Child) Signal(signal syscall.Signal) error { return c.cmd.Process.Signal(signal) }

// Stop asks one child to end, and kills it after the grace. Its OnExit is called all the same.
func (c *Child) Stop(grace time.Duration) {
	_ = c.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(grace):
		_ = c.Signal(syscall.SIGKILL)
		<-c.done
	}
}

// StopAll ends all children, stage by stage, each stage within the grace. The containers' shims are nobody's child
// here and stay: pods survive a restart of the service.
func StopAll(grace time.Duration) {
	mutex.Lock()
	stopping = true
	running := append([]*Child(nil), children...)
	mutex.Unlock()
	for stage := StageClient; stage >= StageStore; stage-- {
		var group sync.WaitGroup
		for _, child := range running {
			if child.spec.Stage == stage {
				group.Go(func() { child.Stop(grace) })
			}
		}
		group.Wait()
	}
}

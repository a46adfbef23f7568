// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package shutdown holds the one context whose end is the end of the program: SIGTERM or SIGINT ends it, and so does a
// component that cannot go on. A second signal ends the process at once.
package shutdown

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"holdfast.internal/k3s/internal/journal"
)

// ErrSignal is the cause of an end that the operator or systemd asked for.
var ErrSignal = errors.New("received signal")

var (
	once   sync.Once
	root   context.Context
	cancel context.CancelCauseFunc
)

// Context gives the program's root context and installs the signal handler at its first call.
func Context() context.Context {
	once.Do(func() {
		root, cancel = context.WithCancelCause(context.Background())
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		go func() {
			<-signals
			cancel(ErrSignal)
			<-signals
			os.Exit(1)
		}()
	})
	return root
}

// Request ends the program because of err. Only the first reason is logged and kept: what follows is its consequence.
func Request(err error) {
	ctx := Context()
	if ctx.Err() != nil {
		return
	}
	journal.Errorf("Shutdown request received: %v", err)
	cancel(err)
}

// Cause is nil while the program runs or when a signal ended it, else the error that did.
func Cause() error {
	cause := context.Cause(Context())
	if cause == nil || errors.Is(cause, ErrSignal) {
		return nil
	}
	return cause
}

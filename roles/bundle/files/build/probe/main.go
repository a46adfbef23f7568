// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Command probe is what tests run inside a cluster: it says a text, resolves a
// name, answers HTTP, or waits. It needs no shell, no libc and no root.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `probe: one of
  probe say TEXT...     print TEXT
  probe resolve NAME    print the addresses of NAME, one a line
  probe serve ADDRESS   answer HTTP on ADDRESS (":8080") with the host's name; 200 on /healthz
  probe sleep           wait until told to end`

const patience = 10 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	until, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch {
	case len(arguments) >= 2 && arguments[0] == "say":
		fmt.Println(strings.Join(arguments[1:], " "))
		return nil
	case len(arguments) == 2 && arguments[0] == "resolve":
		return resolve(until, arguments[1])
	case len(arguments) == 2 && arguments[0] == "serve":
		return serve(until, arguments[1])
	case len(arguments) == 1 && arguments[0] == "sleep":
		<-until.Done()
		return nil
	}
	return errors.New(usage)
}

func resolve(until context.Context, name string) error {
	limited, cancel := context.WithTimeout(until, patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(limited, name)
	if err != nil {
		return fmt.Errorf("probe: %s does not resolve: %w", name, err)
	}
	fmt.Println(strings.Join(addresses, "\n"))
	return nil
}

func serve(until context.Context, address string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("probe: this host has no name: %w", err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	routes.HandleFunc("GET /", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, host) })
	server := &http.Server{Addr: address, Handler: routes, ReadHeaderTimeout: patience}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("probe: cannot serve %s: %w", address, err)
	case <-until.Done():
		// Requests that are under way get their answer before the program ends.
		limited, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return server.Shutdown(limited)
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package notify speaks systemd's readiness protocol for units of Type=notify.
package notify

import (
	"net"
	"os"
)

// variable is the environment variable in which systemd names the socket.
const variable = "NOTIFY_SOCKET"

var address string

// Keep remembers the socket and takes it out of the environment, so that no child can speak for the service.
func Keep() {
	address = os.Getenv(variable)
	_ = os.Unsetenv(variable)
}

// Ready sends READY=1; without a supervisor that listens it does nothing.
func Ready() error { return Send("READY=1\n") }

// Send gives systemd one state.
func Send(state string) error {
	if address == "" {
		return nil
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.Write([]byte(state))
	return err
}

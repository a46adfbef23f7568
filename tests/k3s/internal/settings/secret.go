// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package settings

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/journal"
)

const (
	fileInterval = 2 * time.Second
	fileTimeout  = 4 * time.Minute
)

// secret gives a value, or the contents of the file that holds it. A file may come late (a mount, another service), so
// its absence is waited for; a file that is there and cannot be read is an error at once.
func secret(ctx context.Context, value, path string) (string, error) {
	if value != "" || path == "" {
		return value, nil
	}
	deadline := time.Now().Add(fileTimeout)
	for {
		contents, err := os.ReadFile(path)
		if err == nil {
			return strings.TrimRight(string(contents), "\r\n"), nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if time.Now().After(deadline) {
			return "", errors.New("Timeout while trying to read the file")
		}
		journal.Infof("Waiting for %s to be available", path)
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(fileInterval):
		}
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package loadbalancer

import (
	"encoding/json"
	"os"

	"holdfast.internal/k3s/internal/durable"
)

// state is k3s-agent-load-balancer.json.
type state struct {
	ServerURL       string
	ServerAddresses []string
}

// loadState gives what an earlier start learned; nothing if the file is missing, broken or about another cluster.
func loadState(path, serverURL string) []string {
	contents, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var saved state
	if json.Unmarshal(contents, &saved) != nil || saved.ServerURL != serverURL {
		return nil
	}
	return saved.ServerAddresses
}

func saveState(path string, saved state) error {
	contents, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	return durable.Write(path, contents, 0o600)
}

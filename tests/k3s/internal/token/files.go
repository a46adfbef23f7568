// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"os"
	"path/filepath"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/wire"
)

const fileMode = 0o600

// WriteFiles keeps server/token, its link node-token, and agent-token, which is a file only where agents have a token
// of their own.
func WriteFiles(m *material.Material, users Users) error {
	ca, err := os.ReadFile(m.ServerCA.Cert)
	if err != nil {
		return err
	}
	server, err := Format(ca, wire.UserServer, users.ServerPassword)
	if err != nil {
		return err
	}
	if _, err := durable.WriteIfChanged(m.ServerToken, []byte(server+"\n"), fileMode); err != nil {
		return err
	}
	if err := durable.Link(filepath.Base(m.ServerToken), m.NodeToken); err != nil {
		return err
	}
	if users.AgentPassword == users.ServerPassword {
		return durable.Link(filepath.Base(m.ServerToken), m.AgentToken)
	}
	agent, err := Format(ca, wire.UserNode, users.AgentPassword)
	if err != nil {
		return err
	}
	// A link from a time without an agent token must not lead the new content into server/token.
	if target, err := os.Readlink(m.AgentToken); err == nil && target != "" {
		if err := os.Remove(m.AgentToken); err != nil {
			return err
		}
	}
	_, err = durable.WriteIfChanged(m.AgentToken, []byte(agent+"\n"), fileMode)
	return err
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"

	"holdfast.internal/k3s/internal/agent"
	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/encryption"
	"holdfast.internal/k3s/internal/etcdsnapshot"
	"holdfast.internal/k3s/internal/server"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/verb"
)

// commands are the short verbs by name and sub-command; "" is the verb alone.
var commands = map[string]map[string]verb.Command{
	"certificate":     certificates.Commands,
	"etcd-snapshot":   etcdsnapshot.Commands,
	"secrets-encrypt": encryption.Commands,
	"token":           token.Commands,
}

func runServer(ctx context.Context, s *settings.Settings) error { return server.Run(ctx, s) }

func runAgent(ctx context.Context, s *settings.Settings) error { return agent.Run(ctx, s) }

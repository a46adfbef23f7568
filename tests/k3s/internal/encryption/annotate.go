// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

const announceRetry = 2 * time.Second

// Announce puts this server's state on its Node, as soon as there is one. A server calls it at each start; it returns
// at once where secrets are not encrypted.
func Announce(ctx context.Context, s *settings.Settings, m *material.Material) {
	if !s.SecretsEncryption || s.DisableAgent {
		return
	}
	e := &manager{settings: s, material: m}
	for {
		err := e.announce(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		journal.Debugf("The state of secrets encryption is not on the node yet: %v", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(announceRetry):
		}
	}
}

func (e *manager) announce(ctx context.Context) error {
	state, err := State(e.material)
	if err != nil {
		return err
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	return annotate(ctx, client.Nodes(), e.settings.NodeName, state)
}

func annotate(ctx context.Context, nodes corev1.NodeInterface, name, state string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{Annotation: state}}})
	if err != nil {
		return err
	}
	_, err = nodes.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"strings"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/material"
)

// The stages of a rotation, as `secrets-encrypt status` shows them.
const (
	stageStart             = "start"
	stagePrepare           = "prepare"
	stageRotate            = "rotate"
	stageReencryptRequest  = "reencrypt_request"
	stageReencryptActive   = "reencrypt_active"
	stageReencryptFinished = "reencrypt_finished"
)

const secretMode fs.FileMode = 0o600

// Annotation is where each server's Node carries the state, so that one server can tell whether all have the same keys.
const Annotation = "k3s.io/encryption-config-hash"

// Ensure makes the first key and the state of a cluster that has none.
func Ensure(m *material.Material, providerName string) error {
	content, err := os.ReadFile(m.EncryptionConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(content) == 0 {
		first, err := newKey(providerName, true)
		if err != nil {
			return err
		}
		if content, err = (keyring{keys: []namedKey{first}}).encode(); err != nil {
			return err
		}
		if err := durable.Write(m.EncryptionConfig, content, secretMode); err != nil {
			return err
		}
	}
	if state, err := os.ReadFile(m.EncryptionState); err == nil && len(state) > 0 {
		return nil
	}
	return durable.Write(m.EncryptionState, []byte(stateOf(stageStart, content)), secretMode)
}

// State is the stage and the hash in encryption-state.json, the value of Annotation; "" without secrets encryption.
func State(m *material.Material) (string, error) {
	content, err := os.ReadFile(m.EncryptionState)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

func stateOf(stage string, configuration []byte) string { return stage + "-" + hashOf(configuration) }

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// stageOf takes the hash off a state.
func stageOf(state string) string {
	stage, _, _ := strings.Cut(state, "-")
	return stage
}

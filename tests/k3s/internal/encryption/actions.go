// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"holdfast.internal/k3s/internal/journal"
)

var errBusy = errors.New("another change of the encryption keys is under way on this server")

// do carries one action out. Its context does not end with the client's connection: half a rotation helps nobody.
func (e *manager) do(ctx context.Context, wanted request) error {
	if !e.busy.TryLock() {
		return errBusy
	}
	defer e.busy.Unlock()
	ring, stage, err := e.current()
	if err != nil {
		return err
	}
	switch wanted.Action {
	case actionEnable, actionDisable:
		return e.toggle(ctx, ring, stage, wanted.Action == actionEnable)
	case actionRotateKeys:
		return e.rotateKeys(ctx, ring, stage)
	case actionPrepare, actionRotate, actionReencrypt:
		if ring.has(Secretbox) || e.settings.SecretsEncryptionProvider == Secretbox {
			return fmt.Errorf("secrets-encrypt %s does not support the secretbox key type, use rotate-keys instead", wanted.Action)
		}
		return e.classic(ctx, ring, stage, wanted)
	}
	return fmt.Errorf("unknown action %q", wanted.Action)
}

func (e *manager) toggle(ctx context.Context, ring keyring, stage string, enable bool) error {
	if err := requireStage(stage, stageStart, stageReencryptFinished); err != nil {
		return err
	}
	if ring.disabled == !enable {
		return nil
	}
	ring.disabled = !enable
	return e.write(ctx, ring, stageStart)
}

// rotateKeys does all in one: new key, wait for the apiserver to use it, write all Secrets again, drop the old keys.
// Cut off anywhere, the configuration on disk reads all Secrets there are, and a second call goes through.
func (e *manager) rotateKeys(ctx context.Context, ring keyring, stage string) error {
	if err := requireStage(stage, stageStart, stageReencryptFinished, stageReencryptActive); err != nil {
		return err
	}
	if ring.disabled {
		return errors.New("secrets encryption is disabled, enable it first")
	}
	if err := e.verifyHashes(ctx); err != nil {
		return err
	}
	fresh, err := newKey(e.settings.SecretsEncryptionProvider, false)
	if err != nil {
		return err
	}
	ring.keys = append([]namedKey{fresh}, ring.keys...)
	return e.reencrypt(ctx, ring, false)
}

// classic does one of the three older steps, between which the operator restarts all servers.
func (e *manager) classic(ctx context.Context, ring keyring, stage string, wanted request) error {
	if !wanted.Force {
		if err := e.verifyHashes(ctx); err != nil {
			return err
		}
	}
	switch wanted.Action {
	case actionPrepare:
		if err := requireStage(stage, stageStart, stageReencryptFinished); err != nil && !wanted.Force {
			return err
		}
		fresh, err := newKey(AESCBC, false)
		if err != nil {
			return err
		}
		ring.keys = append(ring.keys, fresh)
		return e.write(ctx, ring, stagePrepare)
	case actionRotate:
		if err := requireStage(stage, stagePrepare); err != nil && !wanted.Force {
			return err
		}
		last := len(ring.keys) - 1
		ring.keys = append([]namedKey{ring.keys[last]}, ring.keys[:last]...)
		return e.write(ctx, ring, stageRotate)
	}
	if err := requireStage(stage, stageRotate); err != nil && !wanted.Force {
		return err
	}
	if err := e.write(ctx, ring, stageReencryptRequest); err != nil {
		return err
	}
	return e.reencrypt(ctx, ring, wanted.Skip)
}

// reencrypt makes the ring's first key the only one. With skip the old ones stay.
func (e *manager) reencrypt(ctx context.Context, ring keyring, skip bool) error {
	if err := e.write(ctx, ring, stageReencryptActive); err != nil {
		return err
	}
	if err := e.awaitReload(ctx, ring); err != nil {
		return err
	}
	count, err := e.rewriteSecrets(ctx)
	if err != nil {
		return fmt.Errorf("after %d secrets, with all keys still in place: %w", count, err)
	}
	journal.Infof("Reencrypted %d secrets", count)
	if !skip && !ring.disabled {
		ring.keys = slices.Clone(ring.keys[:1])
	}
	return e.write(ctx, ring, stageReencryptFinished)
}

func (r keyring) has(providerName string) bool {
	return slices.ContainsFunc(r.keys, func(next namedKey) bool { return next.provider == providerName })
}

func requireStage(stage string, allowed ...string) error {
	if slices.Contains(allowed, stage) {
		return nil
	}
	return fmt.Errorf("invalid hash, secrets-encrypt is at stage %s and not at one of %v", stage, allowed)
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/token"
)

// Keeper changes the shared secrets of a running cluster. Nothing else does: whatever a server changes on its own disk
// alone is not saved, and is overwritten or refused at its next start. The datastore is always changed before the disk:
// if the power goes in between, the next start brings the disk to the datastore.
type Keeper struct {
	material *material.Material
	store    *datastore.Store
	mutex    sync.Mutex
}

// NewKeeper makes the one keeper of a server.
func NewKeeper(m *material.Material, store *datastore.Store) *Keeper {
	return &Keeper{material: m, store: store}
}

// Replace gives shared files, named by their paths, a new content: in the datastore and then on this server's disk.
func (k *Keeper) Replace(ctx context.Context, contents map[string][]byte) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	held, err := k.read(ctx)
	if err != nil {
		return saveFailure{err}
	}
	changed := document{}
	now := time.Now().UTC()
	for name, where := range places(k.material) {
		if content, found := contents[where.path]; found {
			changed[name] = file{Timestamp: now, Content: content}
		}
	}
	if len(changed) != len(contents) {
		return errors.New("a file that is not shared between servers cannot be replaced")
	}
	if err := k.write(ctx, held, held.entry.Key, held.users.ServerPassword, changed); err != nil {
		return err
	}
	return changed.restore(k.material)
}

// Stage changes shared files in the datastore alone; each server takes them over at its next start.
func (k *Keeper) Stage(ctx context.Context, changed document) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	held, err := k.read(ctx)
	if err != nil {
		return saveFailure{err}
	}
	return k.write(ctx, held, held.entry.Key, held.users.ServerPassword, changed)
}

// RotateToken encrypts the shared secrets with a new password. If the power goes before this server's files follow, its
// next start with the new token brings them to it, and one with the old token is refused.
func (k *Keeper) RotateToken(ctx context.Context, text string) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	password, err := token.ServerPassword(text)
	if err != nil {
		return err
	}
	held, err := k.read(ctx)
	if err != nil {
		return err
	}
	users := token.Users{ServerPassword: password, AgentPassword: held.users.AgentPassword}
	if held.users.AgentPassword == held.users.ServerPassword {
		users.AgentPassword = password
	}
	key := storageKey(password)
	if key == held.entry.Key {
		return errors.New("the new token is the one in use")
	}
	changed := document{passwordsName: {Timestamp: time.Now().UTC(), Content: users.Encode()}}
	if err := k.write(ctx, held, key, password, changed); err != nil {
		return err
	}
	if err := changed.restore(k.material); err != nil {
		return err
	}
	journal.Infof("Server token was rotated; all servers and agents must be restarted with the new one")
	return token.WriteFiles(k.material, users)
}

// holding is the datastore's content as this server's password opens it.
type holding struct {
	users  token.Users
	entry  datastore.Entry
	shared document
}

func (k *Keeper) read(ctx context.Context) (held holding, err error) {
	if held.users, err = token.LoadUsers(k.material.Passwords); err != nil {
		return held, err
	}
	entries, err := k.store.List(ctx, storageKey(held.users.ServerPassword))
	if err != nil {
		return held, err
	}
	if len(entries) == 0 || len(entries[0].Value) == 0 {
		return held, errDifferentToken
	}
	held.entry = entries[0]
	plain, err := unseal(held.users.ServerPassword, held.entry.Value)
	if err != nil {
		return held, err
	}
	held.shared, err = decode(plain)
	return held, err
}

// write saves what was read, with the changes, under a key; the old key goes in the same step.
func (k *Keeper) write(ctx context.Context, held holding, key, password string, changed document) error {
	for name, content := range changed {
		held.shared[name] = content
	}
	plain, err := held.shared.encode()
	if err != nil {
		return err
	}
	value, err := seal(password, plain)
	if err != nil {
		return err
	}
	if key == held.entry.Key {
		_, err = k.store.Update(ctx, held.entry, value)
	} else {
		_, err = k.store.Move(ctx, held.entry, key, value)
	}
	if err != nil {
		return saveFailure{fmt.Errorf("%s: %w", key, err)}
	}
	return nil
}

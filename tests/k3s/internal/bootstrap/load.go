// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"context"
	"errors"
	"os"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/journal"
)

const (
	lockPatience = 5
	lockInterval = time.Second
)

var errDifferentToken = errors.New("bootstrap data already found and encrypted with different token")

// load writes the datastore's files to disk, or takes the lock under which this server shall save its own.
func (p *preparation) load(ctx context.Context) (lock *datastore.Entry, err error) {
	for tries := 0; ; tries++ {
		entries, err := p.store.List(ctx, keyPrefix)
		if err != nil {
			return nil, err
		}
		if len(entries) > 1 {
			journal.Warnf("found multiple bootstrap keys in storage")
		}
		entry := p.own(entries)
		switch {
		case len(entries) == 0:
			lock, err := p.lock(ctx)
			if !errors.Is(err, datastore.ErrConflict) {
				return lock, err
			}
			continue
		case p.invented:
			return nil, p.refuseInvented()
		case entry == nil:
			return nil, p.refuseToken()
		case len(entry.Value) > 0:
			return nil, p.apply(*entry)
		case tries >= lockPatience:
			// Whoever took the lock is gone. If it is not, only one of the two can save.
			if err := p.store.Delete(ctx, *entry); err != nil && !errors.Is(err, datastore.ErrConflict) {
				return nil, err
			}
			tries = -1
			continue
		}
		journal.Infof("Bootstrap key is locked - waiting for data to be populated by another server")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockInterval):
		}
	}
}

func (p *preparation) lock(ctx context.Context) (*datastore.Entry, error) {
	entry, err := p.store.Create(ctx, storageKey(p.users.ServerPassword), nil)
	if err != nil {
		return nil, err
	}
	journal.Infof("Bootstrap key locked for initial create")
	return &entry, nil
}

func (p *preparation) own(entries []datastore.Entry) *datastore.Entry {
	key := storageKey(p.users.ServerPassword)
	for index := range entries {
		if entries[index].Key == key {
			return &entries[index]
		}
	}
	return nil
}

func (p *preparation) apply(entry datastore.Entry) error {
	plain, err := unseal(p.users.ServerPassword, entry.Value)
	if err != nil {
		return err
	}
	shared, err := decode(plain)
	if err != nil {
		return err
	}
	if _, err := shared.reconcile(p.material); err != nil {
		return err
	}
	p.passwordsTime = shared[passwordsName].Timestamp
	return nil
}

// refuseToken ends a start whose token does not open the datastore. Like k3s it first brings a cred/passwd that is there
// to this token. After a rotation that is what makes a server that was started with the old token look newer than the
// datastore when the new one is given at last.
func (p *preparation) refuseToken() error {
	if _, err := os.Stat(p.material.Passwords); err == nil {
		if err := p.writeUsers(); err != nil {
			return err
		}
	}
	return errDifferentToken
}

// refuseInvented does what k3s does without a token: a cluster of its own is made up first, and only then it shows that
// the datastore belongs to another one.
func (p *preparation) refuseInvented() error {
	if err := p.generate(); err != nil {
		return err
	}
	journal.Infof("Saving cluster bootstrap data to datastore")
	return saveFailure{errDifferentToken}
}

// saveFailure words the failures of a save as k3s does.
type saveFailure struct{ err error }

func (e saveFailure) Error() string { return "failed to save bootstrap data: " + e.err.Error() }

// Unwrap gives the reason.
func (e saveFailure) Unwrap() error { return e.err }

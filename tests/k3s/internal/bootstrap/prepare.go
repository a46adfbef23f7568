// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package bootstrap brings a server to the state in which its components can start: the shared secrets are on disk and
// in the datastore, the embedded etcd runs, certificates and token files are there.
package bootstrap

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/encryption"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
)

const (
	folderMode fs.FileMode = 0o700
	secretMode fs.FileMode = 0o600
)

// preparation is the work of one start.
type preparation struct {
	settings *settings.Settings
	store    *datastore.Store
	material *material.Material
	users    token.Users
	// invented tells that nobody gave this server a token, now or at an earlier start.
	invented bool
	// remote is the server to join, with embedded etcd only.
	remote *token.Remote
	// passwordsTime is when the datastore's copy of cred/passwd was made, once it is known.
	passwordsTime time.Time
}

// Prepare makes or loads everything that the server's components need. It may be cut off at any point and run again.
func Prepare(ctx context.Context, s *settings.Settings, store *datastore.Store) (*material.Material, error) {
	p := &preparation{settings: s, store: store, material: material.New(s)}
	if err := p.chooseUsers(); err != nil {
		return nil, err
	}
	if err := p.makeFolders(); err != nil {
		return nil, err
	}
	share := p.share
	if store.Embedded() {
		share = p.shareEmbedded
	}
	if err := share(ctx); err != nil {
		return nil, err
	}
	if err := certificates.EnsureLeaves(s, p.material); err != nil {
		return nil, err
	}
	return p.material, token.WriteFiles(p.material, p.users)
}

// chooseUsers finds the server's password in the token given, else in what an earlier start left, else makes one up.
func (p *preparation) chooseUsers() error {
	password, err := p.serverPassword()
	if err != nil {
		return err
	}
	p.users = token.Users{ServerPassword: password, AgentPassword: password}
	if p.settings.AgentToken != "" {
		agent, err := token.Parse(p.settings.AgentToken)
		if err != nil {
			return err
		}
		if agent.IsBootstrap() {
			return token.ErrFormat
		}
		p.users.AgentPassword = agent.Password
	}
	return nil
}

func (p *preparation) serverPassword() (string, error) {
	if p.settings.Token != "" {
		return token.ServerPassword(p.settings.Token)
	}
	content, err := os.ReadFile(p.material.ServerToken)
	if text := strings.TrimSpace(string(content)); err == nil && text != "" {
		return token.ServerPassword(text)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	present, err := token.LoadUsers(p.material.Passwords)
	if err == nil {
		return present.ServerPassword, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	p.invented = true
	return token.NewPassword()
}

func (p *preparation) makeFolders() error {
	for _, folder := range []string{
		p.settings.ServerDir(), p.settings.TLSDir(), filepath.Dir(p.material.EtcdServerCA.Cert),
		p.material.TemporaryCerts, p.material.Credentials, filepath.Dir(p.material.EgressSelector),
	} {
		if err := os.MkdirAll(folder, folderMode); err != nil {
			return err
		}
	}
	return os.Chmod(p.settings.ServerDir(), folderMode)
}

// writeUsers brings cred/passwd to the tokens of this start. Where the datastore has other ones, which is so after a
// change of the agent token, the file keeps the datastore's time: it shall not look newer at the next start.
func (p *preparation) writeUsers() error {
	changed, err := durable.WriteIfChanged(p.material.Passwords, p.users.Encode(), secretMode)
	if err != nil || !changed || p.passwordsTime.IsZero() {
		return err
	}
	return os.Chtimes(p.material.Passwords, time.Now(), p.passwordsTime)
}

// share brings this server and the datastore to the same CAs and keys.
func (p *preparation) share(ctx context.Context) error {
	for {
		lock, err := p.load(ctx)
		if err != nil {
			return err
		}
		if err := p.generate(); err != nil {
			return err
		}
		if lock == nil {
			return nil
		}
		err = p.save(ctx, *lock)
		if !errors.Is(err, datastore.ErrConflict) {
			return err
		}
		// Another server thought that this one was dead and took the lock; its data are the cluster's now.
		journal.Warnf("Bootstrap data were saved by another server, loading them")
	}
}

// generate makes whatever is not on disk yet.
func (p *preparation) generate() error {
	if err := certificates.EnsureAuthorities(p.material); err != nil {
		return err
	}
	if err := p.writeUsers(); err != nil {
		return err
	}
	if err := ensureIPsecKey(p.material.IPsecKey); err != nil {
		return err
	}
	if !p.settings.SecretsEncryption {
		return nil
	}
	return encryption.Ensure(p.material, p.settings.SecretsEncryptionProvider)
}

func (p *preparation) save(ctx context.Context, lock datastore.Entry) error {
	journal.Infof("Saving cluster bootstrap data to datastore")
	value, err := p.sealed()
	if err != nil {
		return err
	}
	if _, err := p.store.Update(ctx, lock, value); err != nil {
		return saveFailure{err}
	}
	return nil
}

func (p *preparation) sealed() ([]byte, error) {
	collected, err := collect(p.material)
	if err != nil {
		return nil, err
	}
	plain, err := collected.encode()
	if err != nil {
		return nil, err
	}
	return seal(p.users.ServerPassword, plain)
}

func ensureIPsecKey(path string) error {
	if information, err := os.Stat(path); err == nil && information.Size() > 0 {
		return nil
	}
	random := make([]byte, 48)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	return durable.Write(path, []byte(hex.EncodeToString(random)+"\n"), secretMode)
}

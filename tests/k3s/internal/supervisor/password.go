// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"holdfast.internal/k3s/internal/journal"
)

const (
	// passwordFile is where a node keeps its own password; here it is read for the server's own node only.
	passwordFile = "/etc/rancher/node/password"
	// PasswordSuffix ends the name of each node's password secret.
	PasswordSuffix = ".node-password.k3s"
	passwordKey    = "hash"

	scryptLogN   = 15
	scryptR      = 8
	scryptP      = 1
	scryptLength = 64
	saltLength   = 8
)

var (
	errHashMismatch = errors.New("hash does not match")
	errNotReady     = errors.New("runtime core not ready")
)

// hashPassword gives what is kept of a node's password: version, salt, cost and hash.
func hashPassword(password string) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	hash, err := scrypt.Key([]byte(password), salt, 1<<scryptLogN, scryptR, scryptP, scryptLength)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("$1:%s:%d:%d:%d:%s", hex.EncodeToString(salt), scryptLogN, scryptR, scryptP,
		base64.RawStdEncoding.EncodeToString(hash)), nil
}

// verifyPassword compares a password with what is kept of it.
func verifyPassword(kept, password string) error {
	parts := strings.Split(kept, ":")
	if len(parts) != 6 || parts[0] != "$1" {
		return errors.New("invalid hash format")
	}
	salt, err := hex.DecodeString(parts[1])
	if err != nil {
		return fmt.Errorf("invalid hash salt: %w", err)
	}
	var cost [3]int
	for index := range cost {
		if cost[index], err = strconv.Atoi(parts[2+index]); err != nil || cost[index] < 1 || cost[index] > 30 {
			return errors.New("invalid hash cost")
		}
	}
	wanted, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return fmt.Errorf("invalid hash: %w", err)
	}
	got, err := scrypt.Key([]byte(password), salt, 1<<cost[0], cost[1], cost[2], len(wanted))
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, wanted) != 1 {
		return errHashMismatch
	}
	return nil
}

// checkNode decides whether the host that asks is the one that owns the name. The first that comes owns it. This
// server's own node must get its certificates before there is an API, so its password is compared with the file, and
// with the secret once there is one.
func (s *Supervisor) checkNode(ctx context.Context, name, password string) error {
	if s.ready.Load() {
		return s.ensurePassword(ctx, name, password)
	}
	if name != s.options.Settings.NodeName {
		return errNotReady
	}
	own, err := os.ReadFile(passwordFile)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(strings.TrimSpace(string(own))), []byte(password)) != 1 {
		return errHashMismatch
	}
	s.deferred.Do(func() { go s.ensureLater(name, password) })
	return nil
}

// ensureLater does for the own node what could not be done before the API came up.
func (s *Supervisor) ensureLater(name, password string) {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(time.Second):
		}
		if !s.ready.Load() {
			continue
		}
		err := s.ensurePassword(s.ctx, name, password)
		if err == nil || s.ctx.Err() != nil {
			return
		}
		journal.Errorf("unable to verify password for node %s: %v", name, err)
		if errors.Is(err, errHashMismatch) {
			return
		}
	}
}

// ensurePassword compares with the node's secret, and makes it for a node that comes for the first time.
func (s *Supervisor) ensurePassword(ctx context.Context, name, password string) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	secret := strings.ToLower(name) + PasswordSuffix
	for range 2 {
		data, err := s.cluster.SecretData(ctx, secret)
		if err == nil {
			return verifyPassword(string(data[passwordKey]), password)
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("%w: %v", errNotReady, err)
		}
		hash, err := hashPassword(password)
		if err != nil {
			return err
		}
		err = s.cluster.CreateSecret(ctx, secret, map[string][]byte{passwordKey: []byte(hash)})
		if err == nil {
			return nil
		}
		// Two hosts of one name at the same instant: one of them made it, so look again.
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%w: %v", errNotReady, err)
		}
	}
	return errNotReady
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// The form of a value in the datastore is k3s': salt:base64(nonce and ciphertext), AES-256-GCM with a key derived from
// the server password.
const (
	keyPrefix  = "/bootstrap/"
	iterations = 4096
	keyBytes   = 32
	saltBytes  = 8
	hashDigits = 12
)

// storageKey is where the data of a cluster with this password are.
func storageKey(password string) string {
	sum := sha256.Sum256([]byte(password))
	return keyPrefix + hex.EncodeToString(sum[:])[:hashDigits]
}

func seal(password string, plain []byte) ([]byte, error) {
	random := make([]byte, saltBytes)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	salt := hex.EncodeToString(random)
	gcm, err := cipherFor(password, salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	sealed := gcm.Seal(nonce, nonce, plain, nil)
	return []byte(salt + ":" + base64.StdEncoding.EncodeToString(sealed)), nil
}

func unseal(password string, value []byte) ([]byte, error) {
	salt, encoded, found := bytes.Cut(value, []byte(":"))
	if !found {
		return nil, errors.New("invalid cipher text, not : delimited")
	}
	gcm, err := cipherFor(password, string(salt))
	if err != nil {
		return nil, err
	}
	sealed, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil {
		return nil, err
	}
	if len(sealed) < gcm.NonceSize() {
		return nil, errors.New("invalid cipher text, too short")
	}
	plain, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], nil)
	if err != nil {
		return nil, fmt.Errorf("failed to decrypt bootstrap data: %w", err)
	}
	return plain, nil
}

func cipherFor(password, salt string) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha1.New, password, []byte(salt), iterations, keyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

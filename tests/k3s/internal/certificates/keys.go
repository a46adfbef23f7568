// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"holdfast.internal/k3s/internal/durable"
)

// keyMode keeps private keys to root.
const keyMode fs.FileMode = 0o600

// LoadOrCreateKey gives the key in a file, which it makes (ECDSA P-256) if there is none.
func LoadOrCreateKey(path string) (crypto.Signer, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		return ParseKey(path, content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, encoded, err := newKey()
	if err != nil {
		return nil, err
	}
	return key, durable.Write(path, encoded, keyMode)
}

// EnsureServiceKey makes the RSA key of service account tokens unless it is there. A file with several keys is right too:
// the first one signs and the others verify.
func EnsureServiceKey(path string) error {
	if content, err := os.ReadFile(path); err == nil {
		_, err = ParseKey(path, content)
		return err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return durable.Write(path, pem.EncodeToMemory(block), keyMode)
}

// ParseKey reads the first private key of a PEM file, in any of the three encodings that tools write.
func ParseKey(path string, content []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	return nil, fmt.Errorf("%s: data does not contain a valid RSA or ECDSA private key", path)
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

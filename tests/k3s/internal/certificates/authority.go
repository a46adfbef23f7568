// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package certificates makes, renews, lists and rotates the certificates of a server, at k3s' paths and with k3s'
// lifetimes, and signs what agents ask for.
package certificates

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/material"
)

const (
	authorityLifetime             = 10 * 365 * 24 * time.Hour
	certificateMode   fs.FileMode = 0o644
)

// Authority is a CA that can sign. Chain holds its certificate first, then what an operator's own file has above it.
type Authority struct {
	Chain []*x509.Certificate
	key   crypto.Signer
}

// LoadAuthority reads a CA's certificate and key and makes sure that they belong together.
func LoadAuthority(pair material.Pair) (*Authority, error) {
	cert, err := os.ReadFile(pair.Cert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(pair.Key)
	if err != nil {
		return nil, err
	}
	return ParseAuthority(pair.Cert, cert, key)
}

// ParseAuthority is LoadAuthority for contents that are not on disk; name is for errors only.
func ParseAuthority(name string, cert, key []byte) (*Authority, error) {
	chain, err := ParseChain(cert)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	signer, err := ParseKey(name, key)
	if err != nil {
		return nil, err
	}
	if !samePublicKey(chain[0].PublicKey, signer.Public()) {
		return nil, fmt.Errorf("%s: the key does not belong to the certificate", name)
	}
	if !chain[0].IsCA {
		return nil, fmt.Errorf("%s: the first certificate is not that of a CA", name)
	}
	return &Authority{Chain: chain, key: signer}, nil
}

// EnsureAuthority makes a self-signed CA unless both of its files are there. Half a pair, which a power cut leaves, is
// of no use to anyone: its certificate was never given out.
func EnsureAuthority(pair material.Pair, name string) (created bool, err error) {
	cert, certErr := os.Stat(pair.Cert)
	key, keyErr := os.Stat(pair.Key)
	for _, failure := range []error{certErr, keyErr} {
		if failure != nil && !errors.Is(failure, fs.ErrNotExist) {
			return false, failure
		}
	}
	if certErr == nil && keyErr == nil && cert.Size() > 0 && key.Size() > 0 {
		return false, nil
	}
	signer, encoded, err := newKey()
	if err != nil {
		return false, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	serial, err := newSerial()
	if err != nil {
		return false, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, now.Unix())},
		NotBefore:             now,
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return false, err
	}
	if err := durable.Write(pair.Key, encoded, keyMode); err != nil {
		return false, err
	}
	return true, durable.Write(pair.Cert, encodeCertificates(der), certificateMode)
}

// LoadChain reads all certificates of a PEM file, at least one.
func LoadChain(path string) ([]*x509.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	chain, err := ParseChain(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chain, nil
}

// ParseChain reads all certificates of a PEM text, at least one.
func ParseChain(content []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("data does not contain any valid RSA or ECDSA certificates")
	}
	return chain, nil
}

func encodeCertificates(ders ...[]byte) []byte {
	var encoded bytes.Buffer
	for _, der := range ders {
		// Writing to memory cannot fail.
		_ = pem.Encode(&encoded, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return encoded.Bytes()
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
}

func samePublicKey(one, other crypto.PublicKey) bool {
	comparable, ok := one.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(other)
}

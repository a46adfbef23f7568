// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
)

// CAHash is the hash in full tokens: of the file as it lies on disk if that holds one certificate, else of the root
// that the first certificate chains to.
func CAHash(content []byte) (string, error) {
	chain, err := parseBundle(content)
	if err != nil {
		return "", err
	}
	if len(chain) > 1 {
		if root := rootOf(chain); root != nil {
			content = root.Raw
		}
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}

// rootOf climbs from the first certificate to a self-signed one within the bundle; nil if there is none.
func rootOf(bundle []*x509.Certificate) *x509.Certificate {
	current := bundle[0]
	for range bundle {
		if bytes.Equal(current.RawIssuer, current.RawSubject) && current.CheckSignatureFrom(current) == nil {
			return current
		}
		var issuer *x509.Certificate
		for _, candidate := range bundle {
			if candidate != current && bytes.Equal(current.RawIssuer, candidate.RawSubject) &&
				current.CheckSignatureFrom(candidate) == nil {
				issuer = candidate
				break
			}
		}
		if issuer == nil {
			return nil
		}
		current = issuer
	}
	return nil
}

func parseBundle(content []byte) ([]*x509.Certificate, error) {
	var bundle []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		bundle = append(bundle, certificate)
	}
	if len(bundle) == 0 {
		return nil, errors.New("the CA bundle holds no certificate")
	}
	return bundle, nil
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"slices"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
)

// EnsureLeaf keeps a leaf that still says what it should and will do so for a while, and signs it anew otherwise, with
// the same key. It tells whether the file was written.
func (a *Authority) EnsureLeaf(pair material.Pair, request Request) (written bool, err error) {
	key, err := LoadOrCreateKey(pair.Key)
	if err != nil {
		return false, err
	}
	reason, err := a.staleness(pair.Cert, key, request)
	if err != nil || reason == "" {
		return false, err
	}
	content, err := a.Sign(key.Public(), request)
	if err != nil {
		return false, err
	}
	if reason != reasonMissing {
		journal.Infof("Renewing certificate %s: %s", pair.Cert, reason)
	}
	return true, durable.Write(pair.Cert, content, certificateMode)
}

const reasonMissing = "missing"

// staleness gives the reason why a leaf must be signed anew, or "".
func (a *Authority) staleness(path string, key crypto.Signer, request Request) (string, error) {
	chain, err := LoadChain(path)
	if errors.Is(err, fs.ErrNotExist) {
		return reasonMissing, nil
	}
	var failure *fs.PathError
	if errors.As(err, &failure) {
		return "", err
	}
	if err != nil {
		return "not a certificate", nil
	}
	leaf := chain[0]
	switch {
	case NeedsRenewal(leaf):
		return "expired or about to expire", nil
	case !samePublicKey(leaf.PublicKey, key.Public()):
		return "other key", nil
	case leaf.CheckSignatureFrom(a.Chain[0]) != nil:
		return "other CA", nil
	case leaf.Subject.CommonName != request.CommonName, !sameSet(leaf.Subject.Organization, request.Organization):
		return "other subject", nil
	case !sameSet(leaf.DNSNames, request.DNS), !sameSet(addressTexts(leaf.IPAddresses), addressTexts(request.IPs)):
		return "other subject alternative names", nil
	case !slices.Equal(leaf.ExtKeyUsage, request.Usage.extended()):
		return "other usages", nil
	case !sameChain(chain[1:], a.Chain):
		return "other CA chain", nil
	}
	return "", nil
}

func sameChain(one, other []*x509.Certificate) bool {
	return slices.EqualFunc(one, other, func(a, b *x509.Certificate) bool { return a.Equal(b) })
}

func sameSet(one, other []string) bool {
	one, other = slices.Clone(one), slices.Clone(other)
	slices.Sort(one)
	slices.Sort(other)
	return slices.Equal(slices.Compact(one), slices.Compact(other))
}

func addressTexts(addresses []net.IP) []string {
	texts := make([]string, 0, len(addresses))
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return texts
}

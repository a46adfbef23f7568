// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// lifetimeVariable shortens or lengthens the life of leaves, for tests and for the impatient.
const lifetimeVariable = "CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS"

// renewalWindow is how long before its end a leaf is renewed at a start, and warned of.
const renewalWindow = 120 * 24 * time.Hour

// Usage says which end of a connection a leaf is for.
type Usage int

// The three usages.
const (
	Client Usage = iota
	Server
	Both
)

// Request is what a leaf shall say.
type Request struct {
	CommonName   string
	Organization []string
	DNS          []string
	IPs          []net.IP
	Usage        Usage
}

// Sign makes a leaf for a public key and gives it as PEM, followed by the CA's own certificates.
func (a *Authority) Sign(public crypto.PublicKey, request Request) ([]byte, error) {
	if request.CommonName == "" {
		return nil, errors.New("must specify a CommonName")
	}
	issuer := a.Chain[0]
	now := time.Now().UTC()
	if now.After(issuer.NotAfter) {
		return nil, errors.New("the CA " + issuer.Subject.CommonName + " has expired and cannot sign any more")
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: request.CommonName, Organization: request.Organization},
		DNSNames:     request.DNS,
		IPAddresses:  request.IPs,
		// The CA's own beginning, so that a node whose clock is a little late accepts the leaf as early as the CA.
		NotBefore:   issuer.NotBefore,
		NotAfter:    now.Add(lifetime()).Truncate(time.Second),
		KeyUsage:    x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: request.Usage.extended(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, a.key)
	if err != nil {
		return nil, err
	}
	all := [][]byte{der}
	for _, certificate := range a.Chain {
		all = append(all, certificate.Raw)
	}
	return encodeCertificates(all...), nil
}

// NeedsRenewal tells whether a leaf is expired or inside the window in which a start renews it.
func NeedsRenewal(leaf *x509.Certificate) bool {
	return time.Until(leaf.NotAfter) < renewalWindow
}

func (u Usage) extended() []x509.ExtKeyUsage {
	switch u {
	case Client:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case Server:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	default:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
}

func lifetime() time.Duration {
	const standard = 365
	days, err := strconv.Atoi(os.Getenv(lifetimeVariable))
	if err != nil || days <= 0 {
		days = standard
	}
	return time.Duration(days) * 24 * time.Hour
}

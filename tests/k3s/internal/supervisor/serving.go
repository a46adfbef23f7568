// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
)

const (
	servingSecret     = "k3s-serving"
	servingName       = "k3s"
	annotationName    = "listener.cattle.io/cn-"
	annotationPrint   = "listener.cattle.io/fingerprint"
	servingCertKey    = "tls.crt"
	servingPrivateKey = "tls.key"
)

// serving is the certificate of the 6443 listener. It is kept in a file between starts, and in a secret that the
// servers share, so that after their next starts all of them show the same one.
type serving struct {
	authority *certificates.Authority
	files     *material.Material
	names     []string
	current   atomic.Pointer[tls.Certificate]
	// content is what the current certificate was made from, as it lies in file and secret.
	content map[string][]byte
}

// servingDocument is the form of dynamic-cert.json: a Secret.
type servingDocument struct {
	Kind       string            `json:"kind"`
	APIVersion string            `json:"apiVersion"`
	Metadata   servingMetadata   `json:"metadata"`
	Type       string            `json:"type"`
	Data       map[string][]byte `json:"data"`
}

type servingMetadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// loadServing takes the kept certificate if it is still good for all names, and makes one otherwise.
func loadServing(files *material.Material, authority *certificates.Authority, dns []string, ips []net.IP) (*serving, error) {
	s := &serving{authority: authority, files: files, names: nameTexts(dns, ips)}
	if _, err := os.Stat(files.DynamicCertRegenerate); err == nil {
		if err := errors.Join(removeIfThere(files.DynamicCert), removeIfThere(files.DynamicCertRegenerate)); err != nil {
			return nil, err
		}
	}
	if kept, err := os.ReadFile(files.DynamicCert); err == nil {
		var document servingDocument
		if json.Unmarshal(kept, &document) == nil && s.adopt(document.Data) {
			return s, nil
		}
	}
	return s, s.renew(nil)
}

// adopt uses a certificate made before, by this server or another, if it is good for this one.
func (s *serving) adopt(content map[string][]byte) bool {
	certificate, err := tls.X509KeyPair(content[servingCertKey], content[servingPrivateKey])
	if err != nil {
		return false
	}
	leaf := certificate.Leaf
	if leaf.CheckSignatureFrom(s.authority.Chain[0]) != nil || certificates.NeedsRenewal(leaf) {
		return false
	}
	has := nameTexts(leaf.DNSNames, leaf.IPAddresses)
	for _, name := range s.names {
		if !slices.Contains(has, name) {
			return false
		}
	}
	s.content = content
	s.current.Store(&certificate)
	return true
}

// renew makes a certificate for this server's names and the given further ones, and keeps it in the file.
func (s *serving) renew(further []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	request := certificates.Request{
		CommonName: servingName, Organization: []string{servingName}, Usage: certificates.Server,
	}
	for _, name := range unique(append(slices.Clone(s.names), further...)) {
		if address := net.ParseIP(name); address != nil {
			request.IPs = append(request.IPs, address)
		} else {
			request.DNS = append(request.DNS, name)
		}
	}
	chain, err := s.authority.Sign(key.Public(), request)
	if err != nil {
		return err
	}
	content := map[string][]byte{
		servingCertKey:    chain,
		servingPrivateKey: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}),
	}
	certificate, err := tls.X509KeyPair(chain, content[servingPrivateKey])
	if err != nil {
		return err
	}
	journal.Infof("certificate CN=%s,O=%s signed by CN=%s: notBefore=%s notAfter=%s", servingName, servingName,
		s.authority.Chain[0].Subject.CommonName, certificate.Leaf.NotBefore, certificate.Leaf.NotAfter)
	s.content = content
	s.current.Store(&certificate)
	return s.save()
}

// save writes dynamic-cert.json.
func (s *serving) save() error {
	document := servingDocument{
		Kind: "Secret", APIVersion: "v1", Type: "kubernetes.io/tls",
		Metadata: servingMetadata{Name: servingSecret, Namespace: "kube-system", Annotations: s.annotations()},
		Data:     s.content,
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return durable.Write(s.files.DynamicCert, encoded, 0o600)
}

// annotations name what is in the certificate, for people and for the next server.
func (s *serving) annotations() map[string]string {
	leaf := s.current.Load().Leaf
	sum := sha1.Sum(leaf.Raw)
	all := map[string]string{annotationPrint: "SHA1=" + strings.ToUpper(hex.EncodeToString(sum[:]))}
	for _, name := range nameTexts(leaf.DNSNames, leaf.IPAddresses) {
		// A key of an annotation has no colons.
		all[annotationName+strings.Trim(strings.ReplaceAll(name, ":", "_"), "_")] = name
	}
	return all
}

// namesIn are the names in a certificate that this CA signed; none for any other content.
func (s *serving) namesIn(content map[string][]byte) []string {
	chain, err := certificates.ParseChain(content[servingCertKey])
	if err != nil || chain[0].CheckSignatureFrom(s.authority.Chain[0]) != nil {
		return nil
	}
	return nameTexts(chain[0].DNSNames, chain[0].IPAddresses)
}

// certificate is the TLS listener's hook.
func (s *serving) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current.Load(), nil
}

func nameTexts(dns []string, ips []net.IP) []string {
	names := slices.Clone(dns)
	for _, address := range ips {
		names = append(names, address.String())
	}
	return unique(names)
}

func unique(values []string) []string {
	var out []string
	for _, value := range values {
		if value != "" && !slices.Contains(out, value) {
			out = append(out, value)
		}
	}
	return out
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

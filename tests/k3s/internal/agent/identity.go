// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast.internal/k3s/internal/durable"
)

// passwordFile holds what proves that this host is the node of its name. It lies outside the data directory, so that
// it survives a new installation.
const passwordFile = "/etc/rancher/node/password"

// nodePassword reads the password or makes it at the first start: 32 hexadecimal digits.
func nodePassword(path string) (string, error) {
	contents, err := os.ReadFile(path)
	if err == nil {
		if password := strings.TrimSpace(string(contents)); password != "" {
			return password, nil
		}
		// An empty file is what a power cut leaves of a careless copy; the server decides whether a new one will do.
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	password := hex.EncodeToString(random)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return password, durable.Write(path, []byte(password+"\n"), 0o600)
}

// certificateRequest gives a request for the key in a file, which is made if it is not there or cannot be used.
func certificateRequest(path, commonName string) ([]byte, error) {
	key, err := loadKey(path)
	if err != nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
		encoded, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, err
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
		if err := durable.Write(path, block, 0o600); err != nil {
			return nil, err
		}
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	contents, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(contents)
	if block == nil {
		return nil, fmt.Errorf("%s: no key in it", path)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

// writeKubeconfig names the credentials by path, so that renewed ones are found without writing it again.
func writeKubeconfig(path, url, authority, certificate, key string) error {
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: %s
    certificate-authority: %s
contexts:
- name: Default
  context:
    cluster: local
    namespace: default
    user: user
current-context: Default
preferences: {}
users:
- name: user
  user:
    client-certificate: %s
    client-key: %s
`, url, authority, certificate, key)
	return durable.Write(path, []byte(content), 0o600)
}

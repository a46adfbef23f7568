// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package encryption keeps the configuration with which kube-apiserver encrypts Secrets, and changes its keys.
package encryption

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The providers that k3s offers.
const (
	AESCBC    = "aescbc"
	Secretbox = "secretbox"
)

const keyBytes = 32

// key is one encryption key of a provider.
type key struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

type keyList struct {
	Keys []key `json:"keys"`
}

// provider has exactly one of its fields set.
type provider struct {
	AESCBC    *keyList  `json:"aescbc,omitempty"`
	Secretbox *keyList  `json:"secretbox,omitempty"`
	Identity  *struct{} `json:"identity,omitempty"`
}

type resource struct {
	Resources []string   `json:"resources"`
	Providers []provider `json:"providers"`
}

// document is Kubernetes' EncryptionConfiguration.
type document struct {
	Kind       string     `json:"kind"`
	APIVersion string     `json:"apiVersion"`
	Resources  []resource `json:"resources"`
}

// namedKey is a key with the provider it is for.
type namedKey struct {
	provider string
	key
}

// keyring is what a configuration means: keys in the order in which they are tried, the first one writes.
type keyring struct {
	keys []namedKey
	// disabled puts "no encryption" before the keys: what is written is plain, what was encrypted can still be read.
	disabled bool
}

func newKey(providerName string, first bool) (namedKey, error) {
	if providerName != AESCBC && providerName != Secretbox {
		return namedKey{}, fmt.Errorf("unsupported secrets-encryption-provider %s", providerName)
	}
	random := make([]byte, keyBytes)
	if _, err := rand.Read(random); err != nil {
		return namedKey{}, err
	}
	name := providerName + "key"
	if !first {
		name += "-" + time.Now().UTC().Format(time.RFC3339)
	}
	return namedKey{providerName, key{name, base64.StdEncoding.EncodeToString(random)}}, nil
}

// encode writes the ring as a configuration: neighbours of one provider share an entry, as their order must stay.
func (r keyring) encode() ([]byte, error) {
	var providers []provider
	if r.disabled {
		providers = append(providers, provider{Identity: &struct{}{}})
	}
	for index, next := range r.keys {
		if index > 0 && r.keys[index-1].provider == next.provider {
			last := providers[len(providers)-1]
			last.list().Keys = append(last.list().Keys, next.key)
			continue
		}
		list := &keyList{Keys: []key{next.key}}
		if next.provider == AESCBC {
			providers = append(providers, provider{AESCBC: list})
		} else {
			providers = append(providers, provider{Secretbox: list})
		}
	}
	if !r.disabled {
		providers = append(providers, provider{Identity: &struct{}{}})
	}
	return json.Marshal(document{
		Kind: "EncryptionConfiguration", APIVersion: "apiserver.config.k8s.io/v1",
		Resources: []resource{{Resources: []string{"secrets"}, Providers: providers}},
	})
}

func decode(content []byte) (keyring, error) {
	var parsed document
	if err := json.Unmarshal(content, &parsed); err != nil {
		return keyring{}, err
	}
	if len(parsed.Resources) == 0 || len(parsed.Resources[0].Providers) == 0 {
		return keyring{}, errors.New("the encryption configuration names no provider")
	}
	var ring keyring
	for index, next := range parsed.Resources[0].Providers {
		switch {
		case next.Identity != nil:
			ring.disabled = ring.disabled || index == 0
		case next.list() == nil:
			return keyring{}, errors.New("the encryption configuration has a provider that is neither aescbc nor secretbox")
		default:
			name := AESCBC
			if next.Secretbox != nil {
				name = Secretbox
			}
			for _, entry := range next.list().Keys {
				ring.keys = append(ring.keys, namedKey{name, entry})
			}
		}
	}
	return ring, nil
}

func (p provider) list() *keyList {
	if p.AESCBC != nil {
		return p.AESCBC
	}
	return p.Secretbox
}

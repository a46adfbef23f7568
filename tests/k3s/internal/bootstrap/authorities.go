// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
)

// serveAuthorities replaces CAs in the datastore, for `certificate rotate-ca`.
func (k *Keeper) serveAuthorities(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPut) {
		return
	}
	var wanted certificates.Bundle
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	changed, err := k.checkAuthorities(wanted, r.URL.Query().Get("force") == "true")
	if err == nil {
		err = k.Stage(r.Context(), changed)
	}
	if err != nil {
		refuse(w, "certificate", err)
		return
	}
	journal.Infof("New CA certificates were saved to the datastore; servers use them after a restart")
	w.WriteHeader(http.StatusOK)
}

// checkAuthorities makes sure that each new CA can sign and, unless forced, that whoever trusts the present one will
// trust the new one.
func (k *Keeper) checkAuthorities(wanted certificates.Bundle, force bool) (document, error) {
	changed := document{}
	now := time.Now().UTC()
	add := func(name string, content []byte) { changed[name] = file{Timestamp: now, Content: content} }
	for name, present := range map[string]material.Pair{
		"ServerCA": k.material.ServerCA, "ClientCA": k.material.ClientCA, "RequestHeaderCA": k.material.RequestHeaderCA,
		"ETCDServerCA": k.material.EtcdServerCA, "ETCDPeerCA": k.material.EtcdPeerCA,
	} {
		base, err := certificates.BundleName(k.material, present.Cert)
		if err != nil {
			return nil, err
		}
		cert, key := wanted[base+".crt"], wanted[base+".key"]
		if cert == nil && key == nil {
			continue
		}
		if err := checkAuthority(base, cert, key, present, force); err != nil {
			return nil, err
		}
		add(name, cert)
		add(name+"Key", key)
	}
	if key := wanted["service.key"]; key != nil {
		if _, err := certificates.ParseKey("service.key", key); err != nil {
			return nil, err
		}
		add("ServiceKey", key)
	}
	if len(changed) == 0 {
		return nil, fmt.Errorf("none of the files is a CA certificate, a CA key or service.key")
	}
	return changed, nil
}

func checkAuthority(name string, cert, key []byte, present material.Pair, force bool) error {
	authority, err := certificates.ParseAuthority(name, cert, key)
	if err != nil {
		return err
	}
	if time.Now().After(authority.Chain[0].NotAfter) {
		return fmt.Errorf("%s.crt has expired", name)
	}
	if force {
		return nil
	}
	content, err := os.ReadFile(present.Cert)
	if err != nil {
		return err
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	for _, certificate := range authority.Chain[1:] {
		intermediates.AddCert(certificate)
	}
	options := x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if _, err := authority.Chain[0].Verify(options); err != nil {
		return fmt.Errorf("unable to validate new %s.crt with the present one: %w", name, err)
	}
	return nil
}

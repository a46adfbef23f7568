// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/wire"
)

const (
	requestLimit = 64 << 10
	nameLimit    = 253
)

var nodeNames = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// badRequest is an error that the caller made.
type badRequest struct{ error }

// servingKubelet signs what a node's kubelet shows to those who connect to it.
func (s *Supervisor) servingKubelet(w http.ResponseWriter, r *http.Request, who caller) {
	name, ok := s.askingNode(w, r, who)
	if !ok {
		return
	}
	request := certificates.Request{CommonName: name, DNS: []string{name, "localhost"}, Usage: certificates.Server}
	addresses := strings.Split(r.Header.Get(wire.HeaderNodeIP), ",")
	for _, text := range append(addresses, "127.0.0.1", "::1") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		address := net.ParseIP(text)
		if address == nil {
			sendError(w, http.StatusBadRequest, fmt.Sprintf("invalid node IP %q", text))
			return
		}
		request.IPs = append(request.IPs, address)
	}
	s.signAndSend(w, r, s.serverAuthority, request)
}

// clientKubelet signs what a node's kubelet shows to the API.
func (s *Supervisor) clientKubelet(w http.ResponseWriter, r *http.Request, who caller) {
	if name, ok := s.askingNode(w, r, who); ok {
		s.signAndSend(w, r, s.clientAuthority, certificates.Request{
			CommonName: nodePrefix + name, Organization: []string{groupNodes}, Usage: certificates.Client,
		})
	}
}

// clientOf signs a client that has the same name on all nodes.
func (s *Supervisor) clientOf(commonName string) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, r *http.Request, _ caller) {
		request := certificates.Request{CommonName: commonName, Usage: certificates.Client}
		s.signAndSend(w, r, s.clientAuthority, request)
	}
}

// askingNode gives the name of the node that asks, after it proved that the name is its own.
func (s *Supervisor) askingNode(w http.ResponseWriter, r *http.Request, who caller) (string, bool) {
	name := r.Header.Get(wire.HeaderNodeName)
	password := r.Header.Get(wire.HeaderNodePassword)
	switch {
	case name == "":
		sendError(w, http.StatusBadRequest, "node name not set")
		return "", false
	case len(name) > nameLimit || !nodeNames.MatchString(name):
		sendError(w, http.StatusBadRequest, fmt.Sprintf("invalid node name %q", name))
		return "", false
	case password == "":
		sendError(w, http.StatusBadRequest, "node password not set")
		return "", false
	case who.nodeName != "" && who.nodeName != name:
		sendError(w, http.StatusBadRequest, "header node name does not match auth node name")
		return "", false
	}
	err := s.checkNode(r.Context(), name, password)
	switch {
	case err == nil:
		return name, true
	case errors.Is(err, errNotReady):
		sendError(w, http.StatusServiceUnavailable, err.Error())
	default:
		journal.Errorf("unable to verify password for node %s: %v", name, err)
		sendError(w, http.StatusForbidden, fmt.Sprintf("unable to verify password for node %s: %v", name, err))
	}
	return "", false
}

// signAndSend signs the request in the body. A caller that sends none gets a key made for it along with the
// certificate, as older agents expect.
func (s *Supervisor) signAndSend(w http.ResponseWriter, r *http.Request, authority *certificates.Authority,
	request certificates.Request,
) {
	key, own, err := requestedKey(r)
	if err != nil {
		sendError(w, http.StatusBadRequest, err.Error())
		return
	}
	chain, err := authority.Sign(key, request)
	if err != nil {
		journal.Errorf("failed to sign certificate for %s: %v", request.CommonName, err)
		sendError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(append(chain, own...))
}

// requestedKey gives the public key to sign and, if it was made here, the private one as PEM.
func requestedKey(r *http.Request) (crypto.PublicKey, []byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, requestLimit))
	if err != nil {
		return nil, nil, badRequest{err}
	}
	if len(body) == 0 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		encoded, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		return key.Public(), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), nil
	}
	block, _ := pem.Decode(body)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, nil, badRequest{errors.New("the body is no certificate request in PEM")}
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, nil, badRequest{err}
	}
	if err := request.CheckSignature(); err != nil {
		return nil, nil, badRequest{err}
	}
	return request.PublicKey, nil, nil
}

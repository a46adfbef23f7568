// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/token"
)

const (
	groupNodes  = "system:nodes"
	nodePrefix  = "system:node:"
	tokenSecret = "bootstrap-token-"
)

// access is what a caller of /v1-k3s may do.
type access int

const (
	accessNone access = iota
	// accessNode is for everything that an agent needs.
	accessNode
	// accessServer is for what only servers and their operators may ask.
	accessServer
)

// caller is who asks. NodeName is set only for a node that shows its own certificate.
type caller struct {
	access   access
	nodeName string
}

// identify finds out who asks: by a node's certificate, by a cluster token as basic authentication, or by a bootstrap
// token as bearer.
func (s *Supervisor) identify(r *http.Request) caller {
	if certificate := s.verifiedClient(r); certificate != nil {
		subject := certificate.Subject
		if slices.Contains(subject.Organization, groupNodes) && strings.HasPrefix(subject.CommonName, nodePrefix) {
			return caller{accessNode, strings.TrimPrefix(subject.CommonName, nodePrefix)}
		}
	}
	if user, password, ok := r.BasicAuth(); ok {
		switch role, known := s.users.Check(user, password); {
		case !known:
		case role == token.RoleServer:
			return caller{access: accessServer}
		default:
			return caller{access: accessNode}
		}
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if s.bootstrapToken(r.Context(), strings.TrimSpace(bearer)) {
			return caller{access: accessNode}
		}
	}
	return caller{}
}

// verifiedClient is the caller's certificate if the client CA vouches for it now, else nil.
func (s *Supervisor) verifiedClient(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	leaf := r.TLS.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, certificate := range r.TLS.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         s.clientCAs,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil
	}
	return leaf
}

// bootstrapToken checks a token of the form id.secret against its secret in the cluster.
func (s *Supervisor) bootstrapToken(ctx context.Context, text string) bool {
	id, secret, found := strings.Cut(text, ".")
	if !found || len(id) != 6 || len(secret) != 16 || !s.ready.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	data, err := s.cluster.SecretData(ctx, tokenSecret+id)
	if err != nil {
		return false
	}
	return validBootstrapToken(data, id, secret, time.Now())
}

// validBootstrapToken applies the rules of Kubernetes' bootstrap tokens to a secret's content.
func validBootstrapToken(data map[string][]byte, id, secret string, now time.Time) bool {
	if subtle.ConstantTimeCompare(data["token-id"], []byte(id)) != 1 ||
		subtle.ConstantTimeCompare(data["token-secret"], []byte(secret)) != 1 {
		return false
	}
	if expiration := string(data["expiration"]); expiration != "" {
		end, err := time.Parse(time.RFC3339, expiration)
		if err != nil || !now.Before(end) {
			return false
		}
	}
	return string(data["usage-bootstrap-authentication"]) == "true"
}

// require lets only callers of at least the given access through.
func (s *Supervisor) require(least access, next func(http.ResponseWriter, *http.Request, caller)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := s.identify(r)
		switch {
		case who.access == accessNone:
			sendError(w, http.StatusUnauthorized, "not authorized")
		case who.access < least:
			sendError(w, http.StatusForbidden, "forbidden")
		default:
			next(w, r, who)
		}
	})
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package token

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/wire"
)

const (
	remoteTimeout = 5 * time.Minute
	answerLimit   = 16 << 20
)

// Remote is another server's supervisor, or this host's own, spoken to with the server token.
type Remote struct {
	base     *url.URL
	token    Token
	client   *http.Client
	CABundle []byte
}

// StatusError is an answer that is not 2xx.
type StatusError struct {
	URL  string
	Code int
	Body string
}

func (e StatusError) Error() string {
	if e.Body != "" {
		return e.Body
	}
	return fmt.Sprintf("%s: %d %s", e.URL, e.Code, http.StatusText(e.Code))
}

// Connect fetches the CA from a server, compares its hash with the token's, and trusts it from then on.
func Connect(ctx context.Context, server, text string) (*Remote, error) {
	base, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	if base.Scheme != "https" {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", server)
	}
	parsed, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if parsed.Username == "" {
		parsed.Username = wire.UserServer
	}
	remote := &Remote{base: base, token: parsed, client: client(nil)}
	remote.CABundle, err = remote.do(ctx, http.MethodGet, wire.PathCACerts, nil, false)
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	if err := parsed.VerifyCA(remote.CABundle); err != nil {
		return nil, err
	}
	if parsed.CAHash == "" {
		journal.Warnf("Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. " +
			"Use the full token from the server's node-token file to enable Cluster CA validation.")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(remote.CABundle) {
		return nil, errors.New("the server's CA bundle holds no certificate")
	}
	remote.client = client(pool)
	return remote, nil
}

// Local connects to a running server with the token in server/token unless one is given.
func Local(ctx context.Context, dataDir, server, text string) (*Remote, error) {
	if text == "" {
		content, err := os.ReadFile(filepath.Join(dataDir, "server", "token"))
		if err != nil {
			return nil, err
		}
		text = strings.TrimSpace(string(content))
	}
	return Connect(ctx, server, text)
}

// Get fetches a document below the supervisor.
func (r *Remote) Get(ctx context.Context, path string) ([]byte, error) {
	return r.do(ctx, http.MethodGet, path, nil, true)
}

// Put sends a document.
func (r *Remote) Put(ctx context.Context, path string, body []byte) ([]byte, error) {
	return r.do(ctx, http.MethodPut, path, body, true)
}

func (r *Remote) do(ctx context.Context, method, path string, body []byte, authenticate bool) ([]byte, error) {
	target, err := r.base.Parse(path)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if authenticate {
		request.SetBasicAuth(r.token.Username, r.token.Password)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		text := strings.TrimSpace(string(content))
		if response.StatusCode == http.StatusUnauthorized {
			text = ""
		}
		return nil, StatusError{URL: target.String(), Code: response.StatusCode, Body: text}
	}
	return content, nil
}

// client trusts a pool of CAs, or, to fetch these very CAs, anyone.
func client(pool *x509.CertPool) *http.Client {
	configuration := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, InsecureSkipVerify: pool == nil}
	return &http.Client{
		Timeout:   remoteTimeout,
		Transport: &http.Transport{TLSClientConfig: configuration, DisableKeepAlives: true},
	}
}

// RotateRequest is the body with which a new token is asked for.
type RotateRequest struct {
	NewToken string `json:"newToken"`
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/wire"
)

const (
	requestTimeout = 15 * time.Second
	answerLimit    = 4 << 20
)

// statusError is an answer of a server that is not 200.
type statusError struct {
	url     string
	code    int
	message string
}

func (e statusError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.url, e.code, http.StatusText(e.code))
	if e.message != "" && e.code != http.StatusUnauthorized {
		text += ": " + e.message
	}
	return text
}

// client speaks to the supervisor with this node's credentials, once connect has found out whom to trust.
type client struct {
	url   string
	token token.Token
	// certificate is the kubelet's own, for nodes whose bootstrap token is gone or that were given none.
	certificate *tls.Certificate
	roots       *x509.CertPool
	http        *http.Client
}

// connect asks the server for its CA and compares it with the token's hash. trusted, if not empty, is the CA of an
// earlier start, and is believed instead when there is no token.
func connect(ctx context.Context, url, text string, certificate *tls.Certificate, trusted []byte) (*client, error) {
	c := &client{url: url, certificate: certificate}
	var err error
	if text != "" {
		if c.token, err = token.Parse(text); err != nil {
			return nil, err
		}
		// A password proves more than a certificate of earlier: who changed it must see that the old one fails.
		if !c.token.IsBootstrap() {
			c.certificate = nil
		}
	}
	pem := trusted
	if text != "" || len(trusted) == 0 {
		unverified := newHTTP(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		defer unverified.CloseIdleConnections()
		if pem, err = get(ctx, unverified, url+wire.PathCACerts, nil, nil); err != nil {
			return nil, fmt.Errorf("failed to get CA certs: %w", err)
		}
		if err := c.token.VerifyCA(pem); err != nil {
			return nil, err
		}
		if text != "" && c.token.CAHash == "" {
			journal.Warnf("The token does not include a CA hash, so the server at %s is trusted without proof; use the full token of server/token", url)
		}
	}
	c.roots = x509.NewCertPool()
	if !c.roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("failed to get CA certs: no certificate in the answer of " + url + wire.PathCACerts)
	}
	config := &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	if c.certificate != nil {
		config.Certificates = []tls.Certificate{*c.certificate}
	}
	c.http = newHTTP(config)
	return c, nil
}

func newHTTP(config *tls.Config) *http.Client {
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{TLSClientConfig: config, DisableCompression: true}}
}

// get fetches a path with this node's credentials.
func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	return get(ctx, c.http, c.url+path, nil, c.authorize)
}

// getJSON fetches a document.
func (c *client) getJSON(ctx context.Context, path string, target any) error {
	answer, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, target)
}

// post sends a certificate request.
func (c *client) post(ctx context.Context, path string, body []byte, headers map[string]string) ([]byte, error) {
	return get(ctx, c.http, c.url+path, body, func(request *http.Request) {
		c.authorize(request)
		for name, value := range headers {
			request.Header.Set(name, value)
		}
	})
}

func (c *client) authorize(request *http.Request) {
	switch {
	case c.token.IsBootstrap():
		request.Header.Set("Authorization", "Bearer "+c.token.Bootstrap())
	case c.token.Password != "":
		user := c.token.Username
		if user == "" {
			user = wire.UserNode
		}
		request.SetBasicAuth(user, c.token.Password)
	}
}

func get(ctx context.Context, client *http.Client, url string, body []byte, edit func(*http.Request)) ([]byte, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if edit != nil {
		edit(request)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		var status struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(content, &status)
		return nil, statusError{url, answer.StatusCode, status.Message}
	}
	return content, nil
}

// ownCertificate loads the kubelet's client certificate of an earlier start; nil if there is none that can be used.
func ownCertificate(certificate, key string) *tls.Certificate {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil
	}
	if pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		return nil
	}
	return &pair
}

// readIfThere reads a file; one that cannot be read is as good as none.
func readIfThere(path string) []byte {
	contents, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return contents
}

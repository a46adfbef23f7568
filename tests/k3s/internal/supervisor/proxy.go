// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"holdfast.internal/k3s/internal/journal"
)

// Headers by which a front proxy tells the apiserver who its client is; the apiserver believes them only from the
// holder of a certificate of the request-header CA.
const (
	headerUser        = "X-Remote-User"
	headerGroup       = "X-Remote-Group"
	headerExtraPrefix = "X-Remote-Extra-"
	// credentialID is the extra by which the apiserver's audit log names the certificate; "/" is written as %2F.
	credentialID = headerExtraPrefix + "Authentication.kubernetes.io%2fcredential-Id"
)

// apiProxy hands everything that is not the supervisor's to the kube-apiserver behind it. Where k3s runs the apiserver
// in its own process, here it is a child, so this is a front proxy: it checks client certificates and passes their
// names on. Bearer tokens go through as they are, and no credentials at all are the apiserver's to refuse.
type apiProxy struct {
	verified func(*http.Request) *x509.Certificate
	// plain speaks HTTP/2; switching carries exec, attach and port-forward, which need HTTP/1.1.
	plain     *httputil.ReverseProxy
	switching *httputil.ReverseProxy
}

func newAPIProxy(address string, config *tls.Config, verified func(*http.Request) *x509.Certificate) *apiProxy {
	p := &apiProxy{verified: verified}
	target := &url.URL{Scheme: "https", Host: address}
	p.plain = p.reverse(target, config, true)
	p.switching = p.reverse(target, config, false)
	return p
}

func (p *apiProxy) reverse(target *url.URL, config *tls.Config, http2 bool) *httputil.ReverseProxy {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(target)
			request.Out.Host = request.In.Host
			request.SetXForwarded()
			p.setIdentity(request)
		},
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSClientConfig:     config.Clone(),
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
			// An apiserver that hangs must not take all requests with it for ever.
			HTTP2:     &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
			Protocols: protocols,
		},
		FlushInterval: -1,
		ErrorLog:      log.New(debugWriter{}, "", 0),
		ErrorHandler:  proxyError,
	}
}

// setIdentity names the client to the apiserver. Whatever the client itself wrote there is thrown away first.
func (p *apiProxy) setIdentity(request *httputil.ProxyRequest) {
	for name := range request.Out.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-remote-") {
			delete(request.Out.Header, name)
		}
	}
	certificate := p.verified(request.In)
	if certificate == nil {
		return
	}
	request.Out.Header.Set(headerUser, certificate.Subject.CommonName)
	for _, group := range certificate.Subject.Organization {
		request.Out.Header.Add(headerGroup, group)
	}
	sum := sha256.Sum256(certificate.Raw)
	request.Out.Header[credentialID] = []string{"X509SHA256=" + hex.EncodeToString(sum[:])}
}

// ServeHTTP passes one request on.
func (p *apiProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		p.switching.ServeHTTP(w, r)
		return
	}
	p.plain.ServeHTTP(w, r)
}

func proxyError(w http.ResponseWriter, r *http.Request, err error) {
	var dial *net.OpError
	switch {
	case errors.Is(err, context.Canceled) || r.Context().Err() != nil:
		// Nobody waits for the answer any more.
		w.WriteHeader(http.StatusBadGateway)
	case errors.As(err, &dial) && dial.Op == "dial":
		sendError(w, http.StatusServiceUnavailable, "apiserver not ready")
	default:
		journal.Debugf("proxy %s %s: %v", r.Method, r.URL.Path, err)
		sendError(w, http.StatusBadGateway, err.Error())
	}
}

// debugWriter lets the standard library's complaints about lost clients appear only with --debug.
type debugWriter struct{}

func (debugWriter) Write(line []byte) (int, error) {
	journal.Debugf("%s", strings.TrimSpace(string(line)))
	return len(line), nil
}

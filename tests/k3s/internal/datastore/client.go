// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package datastore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

const (
	dialTimeout = 5 * time.Second
	// A dead peer is noticed after about half a minute, as k3s' own client does.
	keepAliveTime    = 30 * time.Second
	keepAliveTimeout = 10 * time.Second
)

// Access is what one needs to speak to an etcd: addresses and the three files, none of which plain http needs.
type Access struct {
	Endpoints []string
	CAFile    string
	CertFile  string
	KeyFile   string
}

// Dial connects to at least one of the endpoints within five seconds, or gives the reason why that failed.
func Dial(ctx context.Context, access Access) (*clientv3.Client, error) {
	configuration := clientv3.Config{
		Context:              ctx,
		Endpoints:            access.Endpoints,
		DialTimeout:          dialTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		PermitWithoutStream:  true,
		Logger:               quietLogger(),
		// Blocking is discouraged for new programs, but a datastore that cannot be reached shall stop the start here,
		// with the reason, and not hang in the first read.
		DialOptions: []grpc.DialOption{grpc.WithBlock(), grpc.WithReturnConnectionError()}, //nolint:staticcheck // see above
	}
	if len(access.Endpoints) > 0 && strings.HasPrefix(access.Endpoints[0], "https://") {
		secured, err := tlsConfig(access)
		if err != nil {
			return nil, err
		}
		configuration.TLS = secured
	}
	client, err := clientv3.New(configuration)
	if err != nil {
		return nil, fmt.Errorf("failed to connect to etcd at %s: %w%s", strings.Join(access.Endpoints, ","), err, hint(access))
	}
	return client, nil
}

// hint names an own certificate that etcd must refuse: its answer to that is often lost with the connection.
func hint(access Access) string {
	pair, err := tls.LoadX509KeyPair(access.CertFile, access.KeyFile)
	if err != nil || pair.Leaf == nil {
		return ""
	}
	if now := time.Now(); now.Before(pair.Leaf.NotAfter) && now.After(pair.Leaf.NotBefore) {
		return ""
	}
	return fmt.Sprintf(" (client certificate %s has expired or is not yet valid: it is good from %s to %s)",
		access.CertFile, pair.Leaf.NotBefore.Format(time.RFC3339), pair.Leaf.NotAfter.Format(time.RFC3339))
}

// tlsConfig reads the CA once, and certificate and key again at each handshake, so that new files at the same paths are
// taken up without a restart.
func tlsConfig(access Access) (*tls.Config, error) {
	configuration := &tls.Config{MinVersion: tls.VersionTLS12}
	if access.CAFile != "" {
		content, err := os.ReadFile(access.CAFile)
		if err != nil {
			return nil, err
		}
		configuration.RootCAs = x509.NewCertPool()
		if !configuration.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("%s: no certificate found", access.CAFile)
		}
	}
	if access.CertFile == "" && access.KeyFile == "" {
		return configuration, nil
	}
	load := func() (*tls.Certificate, error) {
		// LoadX509KeyPair reads both; opening them first gives errors that name the missing file.
		for _, path := range []string{access.CertFile, access.KeyFile} {
			file, err := os.Open(path)
			if err != nil {
				return nil, err
			}
			_ = file.Close()
		}
		pair, err := tls.LoadX509KeyPair(access.CertFile, access.KeyFile)
		return &pair, err
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	configuration.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return configuration, nil
}

// quietLogger drops the client library's own chatter: what matters comes back as an error.
func quietLogger() *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zapcore.FatalLevel))
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/verb"
	"holdfast.internal/k3s/internal/wire"
)

// Bundle is what `certificate rotate-ca` sends: files by their paths below server/tls.
type Bundle map[string][]byte

// Commands are the sub-commands of `certificate`.
var Commands = map[string]verb.Command{"check": check, "rotate": rotate, "rotate-ca": rotateAuthorities}

// BundleName is a CA certificate's path below server/tls, without its ending.
func BundleName(m *material.Material, path string) (string, error) {
	relative, err := filepath.Rel(filepath.Dir(m.ServerCA.Cert), path)
	return strings.TrimSuffix(relative, ".crt"), err
}

// rotateAuthorities is `certificate rotate-ca`: it sends the CAs found in a folder to a running server.
func rotateAuthorities(ctx context.Context, call *verb.Call) error {
	folder := call.Flags.String("path")
	if folder == "" {
		return errors.New("cannot rotate CA certificates: --path is required")
	}
	bundle, err := readBundle(folder)
	if err != nil {
		return err
	}
	body, err := json.Marshal(bundle)
	if err != nil {
		return err
	}
	remote, err := token.Local(ctx, call.DataDir, call.Flags.String("server"), call.Flags.String("token"))
	if err != nil {
		return err
	}
	path := wire.PathCertificateBundle
	if call.Flags.Bool("force") {
		path += "?force=true"
	}
	if _, err := remote.Put(ctx, path, body); err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	_, err = fmt.Fprintln(call.Stdout, "certificates saved to datastore")
	return err
}

// readBundle takes what is there: CAs that the folder does not have stay as they are.
func readBundle(folder string) (Bundle, error) {
	bundle := Bundle{}
	names := []string{"service.key"}
	for _, base := range []string{"server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"} {
		names = append(names, base+".crt", base+".key")
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		bundle[name] = content
	}
	if len(bundle) == 0 {
		return nil, fmt.Errorf("no CA certificates found in %s", folder)
	}
	return bundle, nil
}

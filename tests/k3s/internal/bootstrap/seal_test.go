// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"bytes"
	"encoding/base64"
	"testing"
)

func TestSealedDataOpenWithTheSamePasswordOnly(t *testing.T) {
	plain := []byte("secret text")
	sealed, err := seal("password", plain)
	if err != nil {
		t.Fatal(err)
	}
	salt, encoded, found := bytes.Cut(sealed, []byte(":"))
	if !found || len(salt) != 16 {
		t.Errorf("salt %q", salt)
	}
	if content, err := base64.StdEncoding.DecodeString(string(encoded)); err != nil || len(content) != 12+len(plain)+16 {
		t.Errorf("%d bytes after the salt, %v; want nonce, text and tag", len(content), err)
	}
	if opened, err := unseal("password", sealed); err != nil || !bytes.Equal(opened, plain) {
		t.Errorf("%q, %v", opened, err)
	}
	if _, err := unseal("other", sealed); err == nil {
		t.Error("another password opened the data")
	}
	for _, broken := range [][]byte{nil, []byte("x"), []byte("salt:!!"), []byte("salt:QUJD"), sealed[:len(sealed)-4]} {
		if _, err := unseal("password", broken); err == nil {
			t.Errorf("%q was opened", broken)
		}
	}
}

func TestKeyIsNamedByThePassword(t *testing.T) {
	// The first 12 hex digits of the SHA-256 of "password".
	if key := storageKey("password"); key != "/bootstrap/5e884898da28" {
		t.Error(key)
	}
}

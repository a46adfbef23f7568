// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package token knows the forms of join tokens, the files that hold them and the commands that handle them.
package token

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// prefix marks the full form: K10<CA hash>::<user>:<password>.
const prefix = "K10"

const hashLength = 64

var bootstrapForm = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})$`)

// Errors of Parse, worded as k3s words them.
var (
	ErrEmpty      = errors.New("token must not be empty")
	ErrHashLength = errors.New("invalid token CA hash length")
	ErrFormat     = errors.New("invalid token format")
	errNormalize  = errors.New("failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
)

// Token is a parsed join token. Either Password or the two bootstrap fields are set.
type Token struct {
	// CAHash is empty in the short forms.
	CAHash string
	// Username is empty in the short form; who uses the token decides then.
	Username        string
	Password        string
	BootstrapID     string
	BootstrapSecret string
}

// Parse reads any of the forms of a token.
func Parse(text string) (Token, error) {
	if text == "" {
		return Token{}, ErrEmpty
	}
	if id, secret, ok := parseBootstrap(text); ok {
		return Token{BootstrapID: id, BootstrapSecret: secret}, nil
	}
	if !strings.HasPrefix(text, prefix) {
		return Token{Password: text}, nil
	}
	var parsed Token
	credentials := strings.TrimPrefix(text, prefix)
	if hash, rest, found := strings.Cut(credentials, "::"); found {
		if hash != "" && len(hash) != hashLength {
			return Token{}, ErrHashLength
		}
		parsed.CAHash, credentials = hash, rest
	}
	if id, secret, ok := parseBootstrap(credentials); ok {
		parsed.BootstrapID, parsed.BootstrapSecret = id, secret
		return parsed, nil
	}
	var found bool
	parsed.Username, parsed.Password, found = strings.Cut(credentials, ":")
	if !found || parsed.Password == "" {
		return Token{}, ErrFormat
	}
	return parsed, nil
}

// IsBootstrap tells whether this is a bootstrap token, which joins agents only.
func (t Token) IsBootstrap() bool { return t.BootstrapID != "" }

// Bootstrap is the bootstrap token in Kubernetes' own form.
func (t Token) Bootstrap() string { return t.BootstrapID + "." + t.BootstrapSecret }

// VerifyCA compares the token's hash with the CA that a server shows; a token without one trusts whoever answers.
func (t Token) VerifyCA(pem []byte) error {
	if t.CAHash == "" {
		return nil
	}
	hash, err := CAHash(pem)
	if err != nil {
		return err
	}
	if hash != t.CAHash {
		return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", t.CAHash, hash)
	}
	return nil
}

// ServerPassword gives the password in a server's token, which is also what the bootstrap data are encrypted with.
func ServerPassword(text string) (string, error) {
	parsed, err := Parse(text)
	if err != nil || parsed.IsBootstrap() {
		return "", errNormalize
	}
	return parsed.Password, nil
}

// Format builds the full form from a CA certificate file's content, a user and a password.
func Format(caPEM []byte, username, password string) (string, error) {
	hash, err := CAHash(caPEM)
	if err != nil {
		return "", err
	}
	return prefix + hash + "::" + username + ":" + password, nil
}

// FormatBootstrap builds the full form of a bootstrap token.
func FormatBootstrap(caPEM []byte, bootstrap string) (string, error) {
	hash, err := CAHash(caPEM)
	if err != nil {
		return "", err
	}
	return prefix + hash + "::" + bootstrap, nil
}

// NewPassword makes a server password for a cluster that was given none.
func NewPassword() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return hex.EncodeToString(random), nil
}

func parseBootstrap(text string) (id, secret string, ok bool) {
	parts := bootstrapForm.FindStringSubmatch(text)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

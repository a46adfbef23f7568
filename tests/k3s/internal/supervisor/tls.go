// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"crypto/tls"
	"fmt"
	"strings"

	"holdfast.internal/k3s/internal/components"
)

// tlsConfig is the listener's. The operator's choice for kube-apiserver holds here too, since this is where clients of
// kube-apiserver connect.
func (s *Supervisor) tlsConfig() (*tls.Config, error) {
	minimum, suites, err := tlsChoice(s.options.Settings.APIServerArgs)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		GetCertificate: s.serving.certificate,
		// Who shows a certificate is asked to prove it, nobody is asked to show one.
		ClientAuth:   tls.RequestClientCert,
		MinVersion:   minimum,
		CipherSuites: suites,
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}

// tlsChoice reads tls-min-version and tls-cipher-suites of kube-apiserver-arg.
func tlsChoice(arguments []string) (uint16, []uint16, error) {
	versions := map[string]uint16{
		"VersionTLS10": tls.VersionTLS10, "VersionTLS11": tls.VersionTLS11,
		"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13,
	}
	minimum, names := uint16(tls.VersionTLS12), components.CipherSuites
	for _, argument := range arguments {
		key, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		switch key {
		case "tls-min-version":
			known, ok := versions[value]
			if !ok {
				return 0, nil, fmt.Errorf("invalid tls-min-version: unknown tls version %q", value)
			}
			minimum = known
		case "tls-cipher-suites":
			names = strings.Split(value, ",")
		}
	}
	known := map[string]uint16{}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[suite.Name] = suite.ID
	}
	var suites []uint16
	for _, name := range names {
		id, ok := known[strings.TrimSpace(name)]
		if !ok {
			return 0, nil, fmt.Errorf("invalid tls-cipher-suites: Cipher suite %s not supported or doesn't exist", name)
		}
		suites = append(suites, id)
	}
	return minimum, suites, nil
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/token"
)

func TestBootstrapTokensFollowKubernetesRules(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	good := map[string]string{
		"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
		"expiration": "2026-01-02T04:00:00Z",
	}
	cases := map[string]struct {
		change map[string]string
		want   bool
	}{
		"a good one":             {nil, true},
		"one that never ends":    {map[string]string{"expiration": ""}, true},
		"one past its end":       {map[string]string{"expiration": "2026-01-02T03:00:00Z"}, false},
		"one without a real end": {map[string]string{"expiration": "soon"}, false},
		"another secret":         {map[string]string{"token-secret": "fedcba9876543210"}, false},
		"not for joining":        {map[string]string{"usage-bootstrap-authentication": "false"}, false},
	}
	for name, one := range cases {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for key, value := range good {
				data[key] = []byte(value)
			}
			for key, value := range one.change {
				data[key] = []byte(value)
			}
			if got := validBootstrapToken(data, "abcdef", "0123456789abcdef", now); got != one.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAccessFollowsTheToken(t *testing.T) {
	s := &Supervisor{users: token.Users{ServerPassword: "big", AgentPassword: "small"}}
	cases := []struct {
		user, password string
		least          access
		want           int
	}{
		{"", "", accessNode, http.StatusUnauthorized},
		{"node", "wrong", accessNode, http.StatusUnauthorized},
		{"node", "small", accessNode, http.StatusOK},
		{"node", "small", accessServer, http.StatusForbidden},
		{"server", "small", accessNode, http.StatusUnauthorized},
		{"server", "big", accessServer, http.StatusOK},
	}
	for _, one := range cases {
		handler := s.require(one.least, func(w http.ResponseWriter, _ *http.Request, _ caller) { sendText(w, "in") })
		request := httptest.NewRequest(http.MethodGet, "/v1-k3s/config", nil)
		request.TLS = &tls.ConnectionState{}
		if one.user != "" {
			request.SetBasicAuth(one.user, one.password)
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != one.want {
			t.Errorf("%s:%s for %d: got %d %s", one.user, one.password, one.least, recorder.Code, recorder.Body)
		}
		if one.want == http.StatusUnauthorized && !strings.Contains(recorder.Body.String(), "not authorized") {
			t.Errorf("the refusal says %s", recorder.Body)
		}
	}
}

func TestANodePasswordIsKeptOnlyAsAHash(t *testing.T) {
	kept, err := hashPassword("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(kept, "0123456789abcdef0") {
		t.Errorf("the password shows in %s", kept)
	}
	if err := verifyPassword(kept, "0123456789abcdef0123456789abcdef"); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if err := verifyPassword(kept, "another"); !errors.Is(err, errHashMismatch) {
		t.Errorf("a wrong one: %v", err)
	}
	for _, broken := range []string{"", "$1:zz:15:8:1:AA", "$1:00:99:8:1:AA", "$2:00:15:8:1:AA", "$1:00:15:8:1:!"} {
		if err := verifyPassword(broken, "x"); err == nil || errors.Is(err, errHashMismatch) {
			t.Errorf("%q: %v", broken, err)
		}
	}
}

func TestTLSFollowsTheArgumentsOfTheAPIServer(t *testing.T) {
	minimum, suites, err := tlsChoice(nil)
	if err != nil || minimum != tls.VersionTLS12 || len(suites) != 6 {
		t.Errorf("without arguments: %x %v %v", minimum, suites, err)
	}
	minimum, suites, err = tlsChoice([]string{"tls-min-version=VersionTLS13", "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"})
	if err != nil || minimum != tls.VersionTLS13 || len(suites) != 1 {
		t.Errorf("with arguments: %x %v %v", minimum, suites, err)
	}
	if _, _, err := tlsChoice([]string{"tls-cipher-suites=NONE"}); err == nil {
		t.Error("an unknown suite was accepted")
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/certificates"
	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/etcdtest"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/wire"
)

// ask calls one of a server's handlers as the supervisor would, behind its own check of credentials.
func ask(t *testing.T, handlers map[string]http.Handler, method, path string, body any) *httptest.ResponseRecorder {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	bare, _, _ := strings.Cut(path, "?")
	answer := httptest.NewRecorder()
	handlers[bare].ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(content)))
	return answer
}

func rotated(t *testing.T, etcd *etcdtest.Server) (one, two *settings.Settings, m *material.Material, store *datastore.Store) {
	t.Helper()
	one, two = server(t, "one", "old", etcd), server(t, "two", "old", etcd)
	m, store = mustBegin(t, one)
	other, _ := mustBegin(t, two)
	for _, path := range []string{m.Passwords, other.Passwords} {
		age(t, path, time.Hour)
	}
	answer := ask(t, Handlers(one, m, store), http.MethodPut, wire.PathToken, token.RotateRequest{NewToken: "new"})
	if answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	return one, two, m, store
}

func TestRotatedTokenOpensTheSameCluster(t *testing.T) {
	etcd := etcdtest.Start(t)
	one, two, m, store := rotated(t, etcd)
	entries, err := store.List(t.Context(), keyPrefix)
	if err != nil || len(entries) != 1 || entries[0].Key != storageKey("new") {
		t.Fatalf("%v, %v", entries, err)
	}
	if text := string(read(t, m.ServerToken)); !strings.HasSuffix(text, "::server:new\n") {
		t.Errorf("server/token holds %s", text)
	}
	one.Token, two.Token = "new", "new"
	first, _ := mustBegin(t, one)
	second, _ := mustBegin(t, two)
	sameSecrets(t, first, second)
	mustBegin(t, server(t, "three", "new", etcd))
}

func TestOldTokenAfterARotationSpoilsTheServerUntilThePasswordsGo(t *testing.T) {
	etcd := etcdtest.Start(t)
	one, _, m, _ := rotated(t, etcd)
	one.Token = "old"
	if _, _, err := begin(t, one); err == nil || !strings.Contains(err.Error(), "different token") {
		t.Fatalf("%v", err)
	}
	if users, err := token.LoadUsers(m.Passwords); err != nil || users.ServerPassword != "old" {
		t.Errorf("cred/passwd was not rewritten: %v, %v", users, err)
	}
	one.Token = "new"
	// As if somebody looked at the failure for a while: the datastore's copy is from the rotation.
	later := time.Now().Add(5 * time.Second)
	if err := os.Chtimes(m.Passwords, later, later); err != nil {
		t.Fatal(err)
	}
	if _, _, err := begin(t, one); err == nil || !strings.HasPrefix(err.Error(), m.Passwords+" newer than datastore") {
		t.Fatalf("%v", err)
	}
	for _, path := range []string{m.Passwords, m.ServerToken} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	mustBegin(t, one)
}

func TestRotationKeepsASeparateAgentToken(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "old", etcd)
	s.AgentToken = "agents"
	m, store := mustBegin(t, s)
	if text := string(read(t, m.AgentToken)); !strings.HasSuffix(text, "::node:agents\n") {
		t.Errorf("agent-token holds %s", text)
	}
	if err := NewKeeper(m, store).RotateToken(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	users, err := token.LoadUsers(m.Passwords)
	if err != nil || users != (token.Users{ServerPassword: "new", AgentPassword: "agents"}) {
		t.Errorf("%v, %v", users, err)
	}
}

func TestAgentTokenThatGoesBecomesALinkAgain(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, _ := mustBegin(t, s)
	if target, err := os.Readlink(m.AgentToken); err != nil || target != "token" {
		t.Errorf("agent-token: %q, %v", target, err)
	}
	if err := token.WriteFiles(m, token.Users{ServerPassword: "secret", AgentPassword: "agents"}); err != nil {
		t.Fatal(err)
	}
	if text := string(read(t, m.ServerToken)); !strings.HasSuffix(text, "::server:secret\n") {
		t.Errorf("server/token was written through the link: %s", text)
	}
	if err := token.WriteFiles(m, token.Users{ServerPassword: "secret", AgentPassword: "secret"}); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(m.AgentToken); err != nil || target != "token" {
		t.Errorf("agent-token: %q, %v", target, err)
	}
}

func TestSameTokenIsNotRotated(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, store := mustBegin(t, s)
	answer := ask(t, Handlers(s, m, store), http.MethodPut, wire.PathToken, token.RotateRequest{NewToken: "secret"})
	if answer.Code != http.StatusInternalServerError || !strings.HasPrefix(answer.Body.String(), "token error ID ") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	mustBegin(t, s)
}

func TestServerBootstrapNeedsEmbeddedEtcd(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, store := mustBegin(t, s)
	for _, path := range []string{wire.PathServerBootstrap, PathDatabaseInfo} {
		answer := ask(t, Handlers(s, m, store), http.MethodGet, path, nil)
		if answer.Code != http.StatusBadRequest || strings.TrimSpace(answer.Body.String()) != "etcd disabled" {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}

func TestAuthoritiesAreReplacedAtTheNextStart(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, store := mustBegin(t, s)
	foreign := material.New(server(t, "other", "", nil))
	if err := certificates.EnsureAuthorities(foreign); err != nil {
		t.Fatal(err)
	}
	before := read(t, m.ServerCA.Cert)
	bundle := certificates.Bundle{
		"server-ca.crt": read(t, foreign.ServerCA.Cert), "server-ca.key": read(t, foreign.ServerCA.Key),
	}
	handlers := Handlers(s, m, store)
	if answer := ask(t, handlers, http.MethodPut, wire.PathCertificateBundle, bundle); answer.Code != http.StatusInternalServerError {
		t.Fatalf("a foreign root was taken without force: %d", answer.Code)
	}
	half := certificates.Bundle{"server-ca.crt": bundle["server-ca.crt"]}
	if answer := ask(t, handlers, http.MethodPut, wire.PathCertificateBundle+"?force=true", half); answer.Code != http.StatusInternalServerError {
		t.Fatalf("half a pair was taken: %d", answer.Code)
	}
	answer := ask(t, handlers, http.MethodPut, wire.PathCertificateBundle+"?force=true", bundle)
	if answer.Code != http.StatusOK || !bytes.Equal(before, read(t, m.ServerCA.Cert)) {
		t.Fatalf("%d, or the running server's CA was replaced", answer.Code)
	}
	old := string(read(t, m.ServerToken))
	mustBegin(t, s)
	if !bytes.Equal(read(t, m.ServerCA.Cert), bundle["server-ca.crt"]) {
		t.Error("the new CA is not in use after a restart")
	}
	if old == string(read(t, m.ServerToken)) {
		t.Error("the token still has the old CA's hash")
	}
	chain, err := certificates.LoadChain(m.ServingAPIServer.Cert)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := certificates.LoadAuthority(m.ServerCA)
	if err != nil || chain[0].CheckSignatureFrom(authority.Chain[0]) != nil {
		t.Error("the serving certificate is still the old CA's")
	}
}

func TestReplacedFilesReachOtherServersAtTheirStart(t *testing.T) {
	etcd := etcdtest.Start(t)
	one, two := server(t, "one", "secret", etcd), server(t, "two", "secret", etcd)
	one.SecretsEncryption, two.SecretsEncryption = true, true
	m, store := mustBegin(t, one)
	other, _ := mustBegin(t, two)
	sameSecrets(t, m, other)
	fresh := []byte(`{"changed":true}`)
	if err := NewKeeper(m, store).Replace(t.Context(), map[string][]byte{m.EncryptionConfig: fresh}); err != nil {
		t.Fatal(err)
	}
	mustBegin(t, two)
	if !bytes.Equal(read(t, other.EncryptionConfig), fresh) || !bytes.Equal(read(t, m.EncryptionConfig), fresh) {
		t.Error("the servers differ")
	}
	if err := NewKeeper(m, store).Replace(t.Context(), map[string][]byte{m.Admin.Cert: fresh}); err == nil {
		t.Error("a file of one server alone was shared")
	}
}

func TestChangedAgentTokenSurvivesRestarts(t *testing.T) {
	etcd := etcdtest.Start(t)
	s := server(t, "one", "secret", etcd)
	m, _ := mustBegin(t, s)
	age(t, m.Passwords, time.Hour)
	s.AgentToken = "agents"
	for range 3 {
		mustBegin(t, s)
		users, err := token.LoadUsers(m.Passwords)
		if err != nil || users.AgentPassword != "agents" {
			t.Fatalf("%v, %v", users, err)
		}
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package bootstrap

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/encryption"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/wire"
)

// bodyLimit is far above any set of CAs.
const bodyLimit = 1 << 20

// Handlers are the supervisor's paths for holders of the server token that concern shared secrets.
func Handlers(s *settings.Settings, m *material.Material, store *datastore.Store) map[string]http.Handler {
	keeper := NewKeeper(m, store)
	handlers := map[string]http.Handler{
		wire.PathServerBootstrap:   http.HandlerFunc(keeper.serveBootstrap),
		wire.PathToken:             http.HandlerFunc(keeper.serveToken),
		wire.PathCertificateBundle: http.HandlerFunc(keeper.serveAuthorities),
		PathDatabaseInfo:           http.HandlerFunc(keeper.serveDatabaseInfo),
	}
	for path, handler := range encryption.Handlers(s, m, keeper.Replace) {
		handlers[path] = handler
	}
	return handlers
}

// serveBootstrap gives a joining server all shared secrets.
func (k *Keeper) serveBootstrap(w http.ResponseWriter, r *http.Request) {
	if !k.clustered(w, r, http.MethodGet) {
		return
	}
	collected, err := collect(k.material)
	if err == nil {
		err = reply(w, collected)
	}
	if err != nil {
		refuse(w, "bootstrap", err)
	}
}

func (k *Keeper) serveDatabaseInfo(w http.ResponseWriter, r *http.Request) {
	if !k.clustered(w, r, http.MethodGet) {
		return
	}
	urls, err := k.store.ClientURLs(r.Context())
	if err == nil {
		err = reply(w, databaseInfo{ClientURLs: urls})
	}
	if err != nil {
		refuse(w, "etcd", err)
	}
}

// clustered refuses what only several servers on embedded etcd need.
func (k *Keeper) clustered(w http.ResponseWriter, r *http.Request, method string) bool {
	if !allow(w, r, method) {
		return false
	}
	if !k.store.Embedded() || !k.store.Clustered() {
		http.Error(w, "etcd disabled", http.StatusBadRequest)
		return false
	}
	return true
}

func (k *Keeper) serveToken(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPut) {
		return
	}
	var wanted token.RotateRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := k.RotateToken(r.Context(), wanted.NewToken); err != nil {
		refuse(w, "token", err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method != method {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return false
	}
	return true
}

func reply(w http.ResponseWriter, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(content)
	return err
}

// refuse keeps the reason in this server's journal and gives the client only the number to find it by.
func refuse(w http.ResponseWriter, subject string, err error) {
	text := fmt.Sprintf("%s error ID %05d", subject, rand.IntN(100000))
	journal.Errorf("%s: %v", text, err)
	http.Error(w, text, http.StatusInternalServerError)
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
	"holdfast.internal/k3s/internal/wire"
)

const bodyLimit = 64 << 10

// Handlers are the supervisor's paths for `secrets-encrypt`, for holders of the server token.
func Handlers(s *settings.Settings, m *material.Material, replace Replace) map[string]http.Handler {
	e := &manager{settings: s, material: m, replace: replace}
	return map[string]http.Handler{
		wire.PathEncryptStatus: http.HandlerFunc(e.serveStatus),
		wire.PathEncryptConfig: http.HandlerFunc(e.serveConfig),
	}
}

func (e *manager) serveStatus(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	found, err := e.status(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(found)
}

func (e *manager) serveConfig(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var wanted request
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := e.do(context.WithoutCancel(r.Context()), wanted); err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// refuse keeps the reason in this server's journal and gives the client only the number to find it by.
func refuse(w http.ResponseWriter, err error) {
	text := fmt.Sprintf("secret-encrypt error ID %05d", rand.IntN(100000))
	journal.Errorf("%s: %v", text, err)
	http.Error(w, text, http.StatusInternalServerError)
}

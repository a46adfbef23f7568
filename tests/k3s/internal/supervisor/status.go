// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package supervisor

import (
	"encoding/json"
	"net/http"
	"strings"
)

// sendError answers in the form of Kubernetes' own errors, so that kubectl and client libraries can show it.
func sendError(w http.ResponseWriter, code int, message string) {
	answer := map[string]any{
		"kind":       "Status",
		"apiVersion": "v1",
		"metadata":   map[string]any{},
		"status":     "Failure",
		"message":    message,
		"reason":     strings.ReplaceAll(http.StatusText(code), " ", ""),
		"code":       code,
	}
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	sendJSON(w, code, answer)
}

func sendJSON(w http.ResponseWriter, code int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(document)
}

func sendText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte(text))
}

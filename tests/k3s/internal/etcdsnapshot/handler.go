// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package etcdsnapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"holdfast.internal/k3s/internal/datastore"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/settings"
)

// Path is where a server takes these requests.
const Path = "/db/snapshot"

// The operations.
const (
	opSave   = "save"
	opList   = "list"
	opDelete = "delete"
	opPrune  = "prune"
)

// request is the body of a call.
type request struct {
	Operation string   `json:"operation"`
	Names     []string `json:"names,omitempty"`
	Dir       string   `json:"dir,omitempty"`
	Compress  bool     `json:"compress,omitempty"`
	Retention int      `json:"retention,omitempty"`
}

// answer lists what was made or found, and what was deleted.
type answer struct {
	Files   []File   `json:"files"`
	Deleted []string `json:"deleted"`
}

// errDisabled is what a server with an external datastore says; snapshots of that one are its own operators' work.
var errDisabled = errors.New("etcd disabled")

type handler struct {
	settings *settings.Settings
	store    *datastore.Store
	// mutex keeps a prune from counting a snapshot that is being made.
	mutex sync.Mutex
}

// Handler serves Path.
func Handler(s *settings.Settings, store *datastore.Store) http.Handler {
	return &handler{settings: s, store: store}
}

// ServeHTTP does one operation.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked request
	done, err := answer{}, errDisabled
	if h.store.Embedded() {
		err = json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&asked)
		if err == nil {
			done, err = h.do(r, asked)
		}
	}
	switch {
	case errors.Is(err, errDisabled):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		journal.Errorf("etcd-snapshot %s: %v", asked.Operation, err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(done)
	}
}

func (h *handler) do(r *http.Request, asked request) (done answer, err error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	dir := asked.Dir
	if dir == "" {
		dir = h.settings.Snapshot.Dir
	}
	if dir == "" {
		dir = filepath.Join(h.settings.ServerDir(), "db", "snapshots")
	}
	switch asked.Operation {
	case opList:
		done.Files, err = list(dir)
	case opDelete:
		for _, name := range asked.Names {
			if err = remove(dir, name); err != nil {
				return done, err
			}
			journal.Infof("Snapshot %s deleted.", name)
			done.Deleted = append(done.Deleted, name)
		}
	case opSave:
		var made File
		if made, err = h.save(r, dir, asked); err == nil {
			done.Files = []File{made}
			done.Deleted, err = prune(dir, h.prefix(asked), asked.Retention)
		}
	case opPrune:
		done.Deleted, err = prune(dir, h.prefix(asked), asked.Retention)
	default:
		err = fmt.Errorf("unknown operation %q", asked.Operation)
	}
	return done, err
}

// prefix is the beginning of the names of one series of snapshots on this server.
func (h *handler) prefix(asked request) string {
	name := "on-demand"
	if len(asked.Names) > 0 {
		name = asked.Names[0]
	}
	return name + "-" + h.settings.NodeName
}

func (h *handler) save(r *http.Request, dir string, asked request) (File, error) {
	name := h.prefix(asked)
	if strings.ContainsAny(name, "/") || strings.HasPrefix(name, ".") {
		return File{}, fmt.Errorf("invalid snapshot name %q", name)
	}
	name = fmt.Sprintf("%s-%d", name, time.Now().Unix())
	journal.Infof("Saving etcd snapshot to %s", filepath.Join(dir, name))
	stream, err := h.store.Client().Snapshot(r.Context())
	if err != nil {
		return File{}, err
	}
	defer stream.Close()
	made, err := save(stream, dir, name, asked.Compress)
	if err == nil {
		journal.Infof("Snapshot %s saved.", made.Name)
	}
	return made, err
}

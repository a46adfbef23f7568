// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

// Status is what a server answers to `secrets-encrypt status`.
type Status struct {
	// Enable is absent where the cluster has no encryption configuration at all.
	Enable       *bool    `json:"enable,omitempty"`
	Stage        string   `json:"stage,omitempty"`
	ActiveKey    string   `json:"activekey,omitempty"`
	HashMatch    bool     `json:"hashmatch,omitempty"`
	HashError    string   `json:"hasherror,omitempty"`
	InactiveKeys []string `json:"inactivekeys,omitempty"`
}

// request asks for a change.
type request struct {
	Action string `json:"action"`
	Force  bool   `json:"force,omitempty"`
	Skip   bool   `json:"skip,omitempty"`
}

// The actions are named as the sub-commands.
const (
	actionEnable     = "enable"
	actionDisable    = "disable"
	actionPrepare    = "prepare"
	actionRotate     = "rotate"
	actionReencrypt  = "reencrypt"
	actionRotateKeys = "rotate-keys"
)

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"holdfast.internal/k3s/internal/token"
	"holdfast.internal/k3s/internal/verb"
	"holdfast.internal/k3s/internal/wire"
)

// Commands are the sub-commands of `secrets-encrypt`.
var Commands = map[string]verb.Command{
	"status":         status,
	actionEnable:     change(actionEnable, "secrets-encryption enabled"),
	actionDisable:    change(actionDisable, "secrets-encryption disabled"),
	actionPrepare:    change(actionPrepare, "prepare completed successfully"),
	actionRotate:     change(actionRotate, "rotate completed successfully"),
	actionReencrypt:  change(actionReencrypt, "reencryption finished"),
	actionRotateKeys: change(actionRotateKeys, "keys rotated, reencryption finished"),
}

func connect(ctx context.Context, call *verb.Call) (*token.Remote, error) {
	return token.Local(ctx, call.DataDir, call.Flags.String("server"), call.Flags.String("token"))
}

// serverError tells where to look: the reason is in the server's journal only.
func serverError(err error) error {
	return fmt.Errorf("Error: see server log for details: %w", err) //nolint:staticcheck // the text is k3s'
}

func change(action, done string) verb.Command {
	return func(ctx context.Context, call *verb.Call) error {
		remote, err := connect(ctx, call)
		if err != nil {
			return err
		}
		wanted := request{Action: action}
		if call.Flags.Has("force") {
			wanted.Force = call.Flags.Bool("force")
		}
		if call.Flags.Has("skip") {
			wanted.Skip = call.Flags.Bool("skip")
		}
		body, err := json.Marshal(wanted)
		if err != nil {
			return err
		}
		if _, err := remote.Put(ctx, wire.PathEncryptConfig, body); err != nil {
			return serverError(err)
		}
		_, err = fmt.Fprintln(call.Stdout, done)
		return err
	}
}

func status(ctx context.Context, call *verb.Call) error {
	format := call.Flags.String("output")
	if format != "text" && format != "json" {
		return fmt.Errorf("invalid output format %s", format)
	}
	remote, err := connect(ctx, call)
	if err != nil {
		return err
	}
	content, err := remote.Get(ctx, wire.PathEncryptStatus)
	if err != nil {
		return serverError(err)
	}
	if format == "json" {
		_, err = fmt.Fprintln(call.Stdout, strings.TrimSpace(string(content)))
		return err
	}
	var found Status
	if err := json.Unmarshal(content, &found); err != nil {
		return err
	}
	return found.write(call.Stdout)
}

func (s Status) write(out io.Writer) error {
	if s.Enable == nil {
		_, err := fmt.Fprintln(out, "Encryption Status: Disabled, no configuration file found")
		return err
	}
	var text strings.Builder
	state := "Disabled"
	if *s.Enable {
		state = "Enabled"
	}
	fmt.Fprintf(&text, "Encryption Status: %s\nCurrent Rotation Stage: %s\n", state, s.Stage)
	if s.HashMatch {
		fmt.Fprintln(&text, "Server Encryption Hashes: All hashes match")
	} else {
		fmt.Fprintf(&text, "Server Encryption Hashes: %s\n", s.HashError)
	}
	writeKeys(&text, s)
	_, err := io.WriteString(out, text.String())
	return err
}

func writeKeys(text *strings.Builder, s Status) {
	const row = "%-7s %-18s %s\n"
	text.WriteString("\n")
	fmt.Fprintf(text, row, "Active", "Key Type", "Name")
	fmt.Fprintf(text, row, "------", "--------", "----")
	line := func(mark, label string) {
		kind, name, _ := strings.Cut(label, " ")
		fmt.Fprintf(text, row, mark, kind, name)
	}
	if s.ActiveKey != "" {
		line(" *", s.ActiveKey)
	}
	for _, inactive := range s.InactiveKeys {
		line("", inactive)
	}
}

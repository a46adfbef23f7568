// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package encryption

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/settings"
)

func ringOf(t *testing.T, names ...string) keyring {
	t.Helper()
	var ring keyring
	for index, name := range names {
		next, err := newKey(name, index == 0)
		if err != nil {
			t.Fatal(err)
		}
		ring.keys = append(ring.keys, next)
	}
	return ring
}

func TestKeyringsKeepTheirOrderInTheFile(t *testing.T) {
	for _, names := range [][]string{
		{AESCBC}, {Secretbox}, {AESCBC, AESCBC}, {Secretbox, AESCBC, AESCBC}, {AESCBC, Secretbox, AESCBC},
	} {
		for _, disabled := range []bool{false, true} {
			ring := ringOf(t, names...)
			ring.disabled = disabled
			content, err := ring.encode()
			if err != nil {
				t.Fatal(err)
			}
			read, err := decode(content)
			if err != nil || !reflect.DeepEqual(read, ring) {
				t.Errorf("%v: %+v, %v", names, read, err)
			}
		}
	}
}

func TestFirstProviderOfTheFileWrites(t *testing.T) {
	ring := ringOf(t, Secretbox, AESCBC)
	content, err := ring.encode()
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Kind, APIVersion string
		Resources        []struct {
			Resources []string
			Providers []map[string]any
		}
	}
	if err := json.Unmarshal(content, &parsed); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, entry := range parsed.Resources[0].Providers {
		for name := range entry {
			order = append(order, name)
		}
	}
	if strings.Join(order, " ") != "secretbox aescbc identity" || parsed.Kind != "EncryptionConfiguration" {
		t.Errorf("%v in %s", order, content)
	}
}

func TestUnknownProvidersAreRefused(t *testing.T) {
	if _, err := newKey("rot13", true); err == nil {
		t.Error("a key for an unknown provider was made")
	}
	for _, broken := range []string{
		"", "{}", `{"resources":[{"resources":["secrets"],"providers":[{"kms":{"name":"x"}}]}]}`,
	} {
		if _, err := decode([]byte(broken)); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}

func TestFirstStartMakesOneKeyAndKeepsIt(t *testing.T) {
	s := &settings.Settings{}
	s.DataDir = t.TempDir()
	m := material.New(s)
	if err := Ensure(m, AESCBC); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(m.EncryptionConfig)
	if err != nil {
		t.Fatal(err)
	}
	state, err := State(m)
	if err != nil || state != "start-"+hashOf(content) {
		t.Errorf("state %q, %v", state, err)
	}
	if err := Ensure(m, Secretbox); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(m.EncryptionConfig)
	if err != nil || !bytes.Equal(content, again) {
		t.Error("the second start made another key")
	}
	information, err := os.Stat(m.EncryptionConfig)
	if err != nil || information.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", information, err)
	}
}

func TestServersWithOtherKeysAreNamed(t *testing.T) {
	for _, example := range []struct {
		states map[string]string
		want   string
	}{
		{map[string]string{"a": "start-1", "b": "start-1"}, ""},
		{map[string]string{"b": "start-2", "a": "start-1"}, "hash does not match between a and b"},
		{map[string]string{"a": "start-1", "b": ""}, "missing annotation on node b"},
	} {
		err := compareStates(example.states)
		if (err == nil) != (example.want == "") || (err != nil && err.Error() != example.want) {
			t.Errorf("%v: %v", example.states, err)
		}
	}
}

func TestStatusReadsAsThatOfK3s(t *testing.T) {
	on := true
	var out bytes.Buffer
	status := Status{Enable: &on, Stage: "start", ActiveKey: "AES-CBC aescbckey", HashMatch: true, InactiveKeys: []string{"XSalsa20-POLY1305 old"}}
	if err := status.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "Encryption Status: Enabled\nCurrent Rotation Stage: start\nServer Encryption Hashes: All hashes match\n\n" +
		"Active  Key Type           Name\n------  --------           ----\n *      AES-CBC            aescbckey\n" +
		"        XSalsa20-POLY1305  old\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestReloadIsSeenByTheExactHash(t *testing.T) {
	metrics := []byte("# HELP x\n" + reloadMetric + `{apiserver_id_hash="sha256:aa",hash="sha256:bb"} 1` + "\n")
	if !reloaded(metrics, []byte(`hash="sha256:bb"`)) || reloaded(metrics, []byte(`hash="sha256:cc"`)) {
		t.Error("the hash was read wrongly")
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast.internal/k3s/internal/durable"
	"holdfast.internal/k3s/internal/flags"
	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/material"
	"holdfast.internal/k3s/internal/verb"
)

// signIntermediate writes a CA that another one signed, with the other's certificate below it.
func signIntermediate(t *testing.T, root, pair material.Pair) {
	t.Helper()
	parent, err := LoadAuthority(root)
	if err != nil {
		t.Fatal(err)
	}
	key, err := LoadOrCreateKey(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := newSerial()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "intermediate"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.Chain[0], key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.Write(pair.Cert, encodeCertificates(der, parent.Chain[0].Raw), certificateMode); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dataDir, name string, arguments ...string) (stdout, lines string, err error) {
	t.Helper()
	set, rest, err := flags.Parse(name, arguments, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	journal.SetOutput(&log)
	defer journal.SetOutput(os.Stderr)
	_, subcommand, _ := strings.Cut(name, " ")
	call := &verb.Call{Name: name, Args: rest, Flags: set, Stdout: &out, Stderr: &out, DataDir: dataDir}
	err = Commands[subcommand](context.Background(), call)
	return out.String(), log.String(), err
}

func TestCheckListsLeafAndAuthorityOfEachFile(t *testing.T) {
	s := serverSettings(t)
	prepared(t, s)
	stdout, _, err := run(t, s.DataDir, "certificate check", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Certificates []finding }
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Certificates) != 12*2 {
		t.Errorf("%d rows", len(found.Certificates))
	}
	for _, row := range found.Certificates {
		if row.Status != statusOK {
			t.Errorf("%s %s: %s", row.Filename, row.Subject, row.Status)
		}
	}
	table, _, err := run(t, s.DataDir, "certificate check", "--output=table", "--service=admin,scheduler")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(table, "\n")
	if strings.Join(strings.Fields(head), " ") != "FILENAME SUBJECT USAGES EXPIRES RESIDUAL TIME STATUS" {
		t.Errorf("header %q", head)
	}
	if rows := strings.Count(table, "client-admin.crt"); rows != 2 || !strings.Contains(table, "1 year") {
		t.Errorf("table:\n%s", table)
	}
}

func TestCheckWarnsBeforeTheEnd(t *testing.T) {
	s := serverSettings(t)
	t.Setenv(lifetimeVariable, "30")
	prepared(t, s)
	_, lines, err := run(t, s.DataDir, "certificate check", "--service", "scheduler")
	if err != nil || !strings.Contains(lines, "level=warning") || !strings.Contains(lines, "will expire within 120 days at") {
		t.Errorf("%v\n%s", err, lines)
	}
}

func TestRotateRemovesOnlyTheChosenService(t *testing.T) {
	s := serverSettings(t)
	m := prepared(t, s)
	before := read(t, m.Scheduler.Cert)
	_, lines, err := run(t, s.DataDir, "certificate rotate", "--service", "scheduler")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.Scheduler.Key); err == nil {
		t.Error("the scheduler's key is still there")
	}
	if _, err := os.Stat(m.Admin.Cert); err != nil {
		t.Error(err)
	}
	backups, err := filepath.Glob(filepath.Join(s.ServerDir(), "tls-*", "client-scheduler.crt"))
	if err != nil || len(backups) != 1 || !bytes.Equal(before, read(t, backups[0])) {
		t.Fatalf("backups %v, %v", backups, err)
	}
	want := "Successfully backed up certificates to " + filepath.Dir(backups[0]) +
		", please restart k3s server or agent to rotate certificates"
	if !strings.Contains(lines, want) {
		t.Errorf("%q is not in\n%s", want, lines)
	}
	prepared(t, s)
	if bytes.Equal(before, read(t, m.Scheduler.Cert)) {
		t.Error("the next start did not make a new certificate")
	}
}

func TestRotateRefusesUnknownServices(t *testing.T) {
	s := serverSettings(t)
	prepared(t, s)
	_, _, err := run(t, s.DataDir, "certificate rotate", "--service", "apiserver")
	if err == nil || err.Error() != "service apiserver is not recognized" {
		t.Errorf("%v", err)
	}
	if backups, _ := filepath.Glob(filepath.Join(s.ServerDir(), "tls-*")); len(backups) != 0 {
		t.Errorf("a refused rotation left %v", backups)
	}
}

func TestRotateOfTheListenerLeavesTheTrigger(t *testing.T) {
	s := serverSettings(t)
	m := prepared(t, s)
	if _, _, err := run(t, s.DataDir, "certificate rotate"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.DynamicCertRegenerate); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(m.ServerCA.Cert); err != nil {
		t.Errorf("a rotation must not touch CAs: %v", err)
	}
}

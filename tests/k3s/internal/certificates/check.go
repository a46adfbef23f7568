// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package certificates

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/yaml"

	"holdfast.internal/k3s/internal/journal"
	"holdfast.internal/k3s/internal/verb"
)

// The states of a certificate.
const (
	statusOK       = "OK"
	statusWarning  = "WARNING"
	statusExpired  = "EXPIRED"
	statusNotYet   = "NOT YET VALID"
	statusUnusable = "UNREADABLE"
)

// finding is one certificate of one file; a file has its leaf and the CA's own certificates.
type finding struct {
	Path         string    `json:"-"`
	Filename     string    `json:"filename"`
	Subject      string    `json:"subject"`
	Usages       []string  `json:"usages"`
	ExpiryTime   time.Time `json:"expiryTime"`
	ResidualTime string    `json:"residualTime"`
	Status       string    `json:"status"`
}

// check is `certificate check`: it only reads files, so it works with k3s running or not.
func check(_ context.Context, call *verb.Call) error {
	chosen, err := chosenServices(call.Flags.List("service"))
	if err != nil {
		return err
	}
	format := call.Flags.String("output")
	text := format == "text"
	if text {
		kind := "Agent detected, checking agent certificates"
		if isServer(call.DataDir) {
			kind = "Server detected, checking agent and server certificates"
		}
		journal.Infof("%s", kind)
	}
	now := time.Now()
	all := []finding{}
	for _, service := range chosen {
		paths, err := presentFiles(call.DataDir, service, ".crt")
		if err != nil {
			return err
		}
		if text && len(paths) > 0 {
			journal.Infof("Checking certificates for %s", service)
		}
		for _, path := range paths {
			all = append(all, inspect(path, now)...)
		}
	}
	switch format {
	case "text":
		for _, found := range all {
			found.log()
		}
		return nil
	case "table":
		return writeTable(call.Stdout, all)
	case "json", "yaml":
		content, err := json.MarshalIndent(map[string][]finding{"certificates": all}, "", "  ")
		if err == nil && format == "yaml" {
			content, err = yaml.JSONToYAML(content)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(call.Stdout, strings.TrimSuffix(string(content), "\n"))
		return err
	}
	return fmt.Errorf("invalid output format %s", format)
}

func inspect(path string, now time.Time) []finding {
	base := finding{Path: path, Filename: filepath.Base(path)}
	chain, err := LoadChain(path)
	if err != nil {
		base.Status, base.Subject = statusUnusable, err.Error()
		return []finding{base}
	}
	var found []finding
	for _, certificate := range chain {
		row := base
		row.Subject = certificate.Subject.String()
		row.Usages = usageNames(certificate)
		row.ExpiryTime = certificate.NotAfter
		row.ResidualTime = residual(certificate.NotAfter.Sub(now))
		row.Status = status(certificate, now)
		found = append(found, row)
	}
	return found
}

func status(certificate *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(certificate.NotBefore):
		return statusNotYet
	case now.After(certificate.NotAfter):
		return statusExpired
	case certificate.NotAfter.Sub(now) < renewalWindow:
		return statusWarning
	}
	return statusOK
}

// log writes one line for a certificate, louder the nearer its end is.
func (f finding) log() {
	at := f.ExpiryTime.Format(time.RFC3339)
	switch f.Status {
	case statusOK:
		journal.Infof("%s: certificate %s is ok, expires at %s", f.Path, f.Subject, at)
	case statusWarning:
		days := int(renewalWindow / (24 * time.Hour))
		journal.Warnf("%s: certificate %s will expire within %d days at %s", f.Path, f.Subject, days, at)
	case statusExpired:
		journal.Errorf("%s: certificate %s expired at %s", f.Path, f.Subject, at)
	case statusNotYet:
		journal.Errorf("%s: certificate %s is not valid yet", f.Path, f.Subject)
	default:
		journal.Errorf("%s: %s", f.Path, f.Subject)
	}
}

func writeTable(out io.Writer, all []finding) error {
	writer := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	columns := []string{"FILENAME", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL TIME", "STATUS"}
	rule := make([]string, 0, len(columns))
	for _, column := range columns {
		rule = append(rule, strings.Repeat("-", len(column)))
	}
	rows := [][]string{columns, rule}
	for _, found := range all {
		rows = append(rows, []string{
			found.Filename, found.Subject, strings.Join(found.Usages, ","),
			found.ExpiryTime.UTC().Format("Jan 02, 2006 15:04 MST"), found.ResidualTime, found.Status,
		})
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(writer, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return writer.Flush()
}

func usageNames(certificate *x509.Certificate) []string {
	names := []string{}
	for _, usage := range certificate.ExtKeyUsage {
		switch usage {
		case x509.ExtKeyUsageClientAuth:
			names = append(names, "ClientAuth")
		case x509.ExtKeyUsageServerAuth:
			names = append(names, "ServerAuth")
		default:
			names = append(names, fmt.Sprintf("Usage%d", usage))
		}
	}
	if certificate.IsCA {
		names = append(names, "CertSign")
	}
	return names
}

// residual is the time left in the largest unit that makes sense to a reader.
func residual(left time.Duration) string {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	unit := func(count time.Duration, name string) string {
		if count == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", count, name)
	}
	switch {
	case left < 0:
		return "-"
	case left >= year-day:
		return unit((left+day)/year, "year")
	case left >= day:
		return unit(left/day, "day")
	default:
		return unit(left/time.Hour, "hour")
	}
}

// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package journal

import (
	"testing"
	"time"
)

func TestALineHasTheFormThatPeopleSearchFor(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for message, want := range map[string]string{
		"Running kubelet --v=2":   `time="2026-01-02T03:04:05Z" level=info msg="Running kubelet --v=2"` + "\n",
		"word":                    `time="2026-01-02T03:04:05Z" level=info msg=word` + "\n",
		`open "/x": no such file`: `time="2026-01-02T03:04:05Z" level=info msg="open \"/x\": no such file"` + "\n",
		"two\nlines":              `time="2026-01-02T03:04:05Z" level=info msg="two\nlines"` + "\n",
	} {
		if got := Format(at, "info", message); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

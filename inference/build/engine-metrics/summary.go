// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// summaryMost is far above what an engine says of itself, in bytes.
const summaryMost = 1 << 20

// summary is what of an engine's /metrics/summary is needed here. What is missing stays nil and is not taken for 0.
type summary struct {
	Ready         *bool `json:"ready"`
	WindowSeconds int64 `json:"window_seconds"`
	FirstToken    *struct {
		// nil: nobody was given a first token in the window.
		P95 *float64 `json:"p95"`
	} `json:"time_to_first_token_seconds"`
	Models map[string]struct {
		QueuedTokens *int64 `json:"queued_tokens"`
	} `json:"models"`
}

// parse refuses what is no summary, so that nothing is ever read from another page.
func parse(text []byte) (summary, error) {
	var told summary
	if err := json.Unmarshal(text, &told); err != nil {
		return summary{}, fmt.Errorf("no summary: %w", err)
	}
	if told.Ready == nil || told.FirstToken == nil || len(told.Models) == 0 {
		return summary{}, errors.New("no summary: ready, time_to_first_token_seconds or models is missing")
	}
	for name, model := range told.Models {
		if model.QueuedTokens == nil || *model.QueuedTokens < 0 {
			return summary{}, fmt.Errorf("no summary: model %s has no number of queued_tokens", name)
		}
	}
	if !*told.Ready {
		return summary{}, errors.New("it takes no work now, so that its empty queue is no room")
	}
	return told, nil
}

func (told summary) queuedTokens() int64 {
	var sum int64
	for _, model := range told.Models {
		sum += *model.QueuedTokens
	}
	return sum
}

// asker asks engines over HTTP, as gateways do. The key is read each time, since it may be exchanged.
type asker struct {
	keyFile string
	client  *http.Client
}

func newAsker(keyFile string) *asker {
	return &asker{keyFile, &http.Client{
		// No proxy of the environment, and no redirect: the key is for engines only.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (a *asker) ask(ctx context.Context, address string) (summary, error) {
	key, err := os.ReadFile(a.keyFile)
	if err != nil {
		return summary{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics/summary", nil)
	if err != nil {
		return summary{}, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	answer, err := a.client.Do(request)
	if err != nil {
		return summary{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return summary{}, fmt.Errorf("it answered %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, summaryMost))
	if err != nil {
		return summary{}, err
	}
	return parse(text)
}

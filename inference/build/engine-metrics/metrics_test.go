// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

const (
	key       = "llm-key-of-the-test"
	namespace = "inference"
)

// room is a cluster that has these pods, and remembers how it was asked for them.
type room struct {
	found    []core.Pod
	selector string
	fails    error
}

func (r *room) list(_ context.Context, _ string, selector labels.Selector) ([]core.Pod, error) {
	r.selector = selector.String()
	return r.found, r.fails
}

// engine is a pod whose container is the handler, heard on loopback.
func engine(t *testing.T, name string, handler http.HandlerFunc) core.Pod {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: namespace},
		Spec: core.PodSpec{Containers: []core.Container{{Ports: []core.ContainerPort{
			{Name: "heartbeat", ContainerPort: 1}, {Name: portName, ContainerPort: int32(number)},
		}}}},
		Status: core.PodStatus{Phase: core.PodRunning, PodIP: host},
	}
}

func saying(text string) http.HandlerFunc {
	return func(answer http.ResponseWriter, asked *http.Request) {
		if asked.Header.Get("Authorization") != "Bearer "+key || asked.URL.Path != "/metrics/summary" {
			http.Error(answer, "who is it", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(answer, text)
	}
}

func busy(p95 string, queued ...int) string {
	models := ""
	for number, tokens := range queued {
		models += fmt.Sprintf(`,"m%d":{"queued_tokens":%d,"running":1}`, number, tokens)
	}
	return fmt.Sprintf(`{"window_seconds":60,"ready":true,"time_to_first_token_seconds":{"p50":null,"p95":%s},"models":{%s}}`,
		p95, models[min(1, len(models)):])
}

func asking(t *testing.T, found ...core.Pod) (*engineMetrics, *room) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	selector, err := labels.Parse("part=engine")
	if err != nil {
		t.Fatal(err)
	}
	known := &room{found: found}
	return &engineMetrics{known, selector, newAsker(file), 300 * time.Millisecond}, known
}

func named(metric string) provider.CustomMetricInfo {
	return provider.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "pods"}, Namespaced: true, Metric: metric}
}

// values is what an autoscaler is told, by pod.
func values(t *testing.T, m *engineMetrics, metric string) map[string]string {
	t.Helper()
	list, err := m.GetMetricBySelector(context.Background(), namespace, labels.Everything(), named(metric), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, item := range list.Items {
		told[item.DescribedObject.Name] = item.Value.String()
	}
	return told
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, not %v", got, want)
	}
}

func TestEachEngineIsToldWithAllItsModels(t *testing.T) {
	m, _ := asking(t,
		engine(t, "llm-0", saying(busy("1.25", 700, 34))),
		engine(t, "llm-1", saying(busy("0.0415", 0))),
	)
	same(t, values(t, m, queuedTokens), map[string]string{"llm-0": "734", "llm-1": "0"})
	same(t, values(t, m, firstToken), map[string]string{"llm-0": "1250m", "llm-1": "41m"})
}

func TestAnEngineThatCannotBeHeardIsLeftOutAndNeverZero(t *testing.T) {
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	gone := engine(t, "gone", saying(busy("1", 1)))
	gone.Spec.Containers[0].Ports[1].ContainerPort = 1
	going := engine(t, "going", saying(busy("1", 1)))
	going.DeletionTimestamp = &meta.Time{Time: time.Now()}
	coming := engine(t, "coming", saying(busy("1", 1)))
	coming.Status = core.PodStatus{Phase: core.PodPending}
	portless := engine(t, "portless", saying(busy("1", 1)))
	portless.Spec.Containers[0].Ports = nil
	m, _ := asking(t, gone, going, coming, portless,
		engine(t, "silent", func(_ http.ResponseWriter, asked *http.Request) {
			select {
			case <-silent:
			case <-asked.Context().Done():
			}
		}),
		engine(t, "refuses", func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(http.StatusForbidden) }),
		engine(t, "elsewhere", http.RedirectHandler("/metrics/summary/", http.StatusFound).ServeHTTP),
		engine(t, "good", saying(busy("0.5", 12))),
	)
	begun := time.Now()
	same(t, values(t, m, queuedTokens), map[string]string{"good": "12"})
	if took := time.Since(begun); took > 5*m.patience {
		t.Errorf("a silent engine held the others up for %v", took)
	}
}

func TestWhatIsNoSummaryIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":        `holdfast_queued_tokens 0`,
		"another page":   `{"live":true}`,
		"no models":      busy("1"),
		"no number":      `{"ready":true,"time_to_first_token_seconds":{},"models":{"m":{}}}`,
		"below nothing":  busy("1", -1),
		"takes no work":  `{"ready":false,"time_to_first_token_seconds":{"p95":null},"models":{"m":{"queued_tokens":0}}}`,
		"no first token": `{"ready":true,"models":{"m":{"queued_tokens":0}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if told, err := parse([]byte(text)); err == nil {
				t.Errorf("taken for %+v", told)
			}
		})
	}
}

func TestNobodyWaitsWhereNobodyAskedButSomebodyMayWaitForLong(t *testing.T) {
	m, _ := asking(t,
		engine(t, "idle", saying(busy("null", 0))),
		engine(t, "stuck", saying(busy("null", 900))),
	)
	same(t, values(t, m, firstToken), map[string]string{"idle": "0"})
	same(t, values(t, m, queuedTokens), map[string]string{"idle": "0", "stuck": "900"})
}

func TestOnlyEnginesAreAsked(t *testing.T) {
	m, known := asking(t)
	wanted, err := labels.Parse("app=llm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.GetMetricBySelector(context.Background(), namespace, wanted, named(queuedTokens), nil); err != nil {
		t.Fatal(err)
	}
	if known.selector != "app=llm,part=engine" {
		t.Errorf("pods were looked for by %q", known.selector)
	}
}

func TestWhatThereIsNotIsToldAsSuch(t *testing.T) {
	m, known := asking(t, engine(t, "llm-0", saying(busy("1", 5))))
	nodes := named(queuedTokens)
	nodes.GroupResource.Resource = "nodes"
	for _, info := range []provider.CustomMetricInfo{named("holdfast_moon"), nodes} {
		if _, err := m.GetMetricBySelector(context.Background(), namespace, labels.Everything(), info, nil); err == nil {
			t.Errorf("there is no %v", info)
		}
	}
	one, err := m.GetMetricByName(context.Background(), types.NamespacedName{Namespace: namespace, Name: "llm-0"}, named(queuedTokens), nil)
	if err != nil || one.Value.Value() != 5 {
		t.Errorf("of llm-0 was told %v, %v", one, err)
	}
	if _, err := m.GetMetricByName(context.Background(), types.NamespacedName{Name: "llm-9"}, named(queuedTokens), nil); err == nil {
		t.Error("there is no llm-9")
	}
	known.fails = errors.New("no API")
	if _, err := m.GetMetricBySelector(context.Background(), namespace, labels.Everything(), named(queuedTokens), nil); err == nil {
		t.Error("that the API is away was kept secret")
	}
}

func TestWhatIsServedIsWhatIsListed(t *testing.T) {
	m, _ := asking(t, engine(t, "llm-0", saying(busy("1", 5))))
	listed := m.ListAllMetrics()
	if len(listed) != 2 {
		t.Fatalf("%v", listed)
	}
	for _, info := range listed {
		if told := values(t, m, info.Metric); len(told) != 1 {
			t.Errorf("%s of one engine is %v", info.Metric, told)
		}
	}
}

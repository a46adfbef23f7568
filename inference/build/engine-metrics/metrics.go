// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

const (
	queuedTokens = "holdfast_queued_tokens"
	firstToken   = "holdfast_first_token_p95_seconds"
	portName     = "http"
)

// told is a value of one engine, and the seconds that it speaks of; 0 for this moment.
type told struct {
	value  *resource.Quantity
	window int64
}

var metrics = map[string]func(summary) (told, error){
	queuedTokens: func(of summary) (told, error) {
		return told{resource.NewQuantity(of.queuedTokens(), resource.DecimalSI), 0}, nil
	},
	firstToken: func(of summary) (told, error) {
		switch p95 := of.FirstToken.P95; {
		case p95 != nil:
			return told{resource.NewMilliQuantity(int64(*p95*1000), resource.DecimalSI), of.WindowSeconds}, nil
		case of.queuedTokens() == 0:
			// Nobody asked, and nobody waits: whoever came now would not wait either.
			return told{resource.NewQuantity(0, resource.DecimalSI), of.WindowSeconds}, nil
		}
		return told{}, errors.New("somebody has been waiting for a first token for longer than it looks back")
	},
}

// pods is what is asked of the cluster.
type pods interface {
	list(ctx context.Context, namespace string, selector labels.Selector) ([]core.Pod, error)
}

type cluster struct{ client kubernetes.Interface }

func (c cluster) list(ctx context.Context, namespace string, selector labels.Selector) ([]core.Pod, error) {
	found, err := c.client.CoreV1().Pods(namespace).List(ctx, meta.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	return found.Items, nil
}

// engineMetrics answers what an autoscaler asks. An engine that gives no answer in time is left out: an autoscaler
// takes one that it does not hear of for idle before it adds, and for fully busy before it takes away.
type engineMetrics struct {
	pods     pods
	engines  labels.Selector
	asker    *asker
	patience time.Duration
}

// ListAllMetrics names what there is, for discovery.
func (m *engineMetrics) ListAllMetrics() []provider.CustomMetricInfo {
	var known []provider.CustomMetricInfo
	for name := range metrics {
		info := provider.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "pods"}, Namespaced: true, Metric: name}
		known = append(known, info)
	}
	return known
}

// GetMetricBySelector is what an autoscaler calls.
func (m *engineMetrics) GetMetricBySelector(
	ctx context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, _ labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	read, known := metrics[info.Metric]
	if !known || info.GroupResource.String() != "pods" {
		return nil, provider.NewMetricNotFoundError(info.GroupResource, info.Metric)
	}
	engines, _ := m.engines.Requirements()
	found, err := m.pods.list(ctx, namespace, selector.DeepCopySelector().Add(engines...))
	if err != nil {
		return nil, err
	}
	return &custom_metrics.MetricValueList{Items: m.askAll(ctx, found, info.Metric, read)}, nil
}

// GetMetricByName is for people who look.
func (m *engineMetrics) GetMetricByName(
	ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo, metricSelector labels.Selector,
) (*custom_metrics.MetricValue, error) {
	all, err := m.GetMetricBySelector(ctx, name.Namespace, labels.Everything(), info, metricSelector)
	if err != nil {
		return nil, err
	}
	for _, item := range all.Items {
		if item.DescribedObject.Name == name.Name {
			return &item, nil
		}
	}
	return nil, provider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
}

func (m *engineMetrics) askAll(
	ctx context.Context, found []core.Pod, metric string, read func(summary) (told, error),
) []custom_metrics.MetricValue {
	limited, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	answers := make([]*custom_metrics.MetricValue, len(found))
	var asked sync.WaitGroup
	for number, pod := range found {
		asked.Go(func() {
			value, err := m.askOne(limited, &pod, read)
			if err != nil {
				klog.Warningf("%s of %s/%s is left out: %v", metric, pod.Namespace, pod.Name, err)
				return
			}
			answers[number] = valueOf(&pod, metric, value)
		})
	}
	asked.Wait()
	items := []custom_metrics.MetricValue{}
	for _, answer := range answers {
		if answer != nil {
			items = append(items, *answer)
		}
	}
	return items
}

func (m *engineMetrics) askOne(ctx context.Context, pod *core.Pod, read func(summary) (told, error)) (told, error) {
	address, err := addressOf(pod)
	if err != nil {
		return told{}, err
	}
	of, err := m.asker.ask(ctx, address)
	if err != nil {
		return told{}, err
	}
	return read(of)
}

// addressOf is where an engine listens; one that is going, or has not come, is not asked.
func addressOf(pod *core.Pod) (string, error) {
	if pod.DeletionTimestamp != nil || pod.Status.Phase != core.PodRunning || pod.Status.PodIP == "" {
		return "", errors.New("it does not run")
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == portName {
				return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port.ContainerPort))), nil
			}
		}
	}
	return "", errors.New("it has no port of the name " + portName)
}

func valueOf(pod *core.Pod, metric string, of told) *custom_metrics.MetricValue {
	value := &custom_metrics.MetricValue{
		DescribedObject: custom_metrics.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name},
		Metric:          custom_metrics.MetricIdentifier{Name: metric},
		Timestamp:       meta.Now(),
		Value:           *of.value,
	}
	if of.window > 0 {
		value.WindowSeconds = &of.window
	}
	return value
}

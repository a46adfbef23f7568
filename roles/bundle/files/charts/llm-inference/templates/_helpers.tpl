{{- /* SPDX-FileCopyrightText: 2026 The Holdfast authors */ -}}
{{- /* SPDX-License-Identifier: GPL-3.0-or-later */ -}}
{{- define "llm.labels" -}}
app.kubernetes.io/name: llm-inference
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "llm.engine" -}}
app.kubernetes.io/name: llm-inference
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: engine
{{- end }}

{{- define "llm.gateway" -}}
app.kubernetes.io/name: llm-inference
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- /* What lets the number of engines follow the load. Whoever takes it away finds it by the last two. */ -}}
{{- define "llm.scalingLabels" -}}
{{ include "llm.labels" . }}
app.kubernetes.io/component: scaling
app.kubernetes.io/part-of: {{ include "llm.clusterwide" . }}
{{- end }}

{{- define "llm.metrics" -}}
app.kubernetes.io/name: llm-inference
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: scaling
{{- end }}

{{- define "llm.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Of a PriorityClass, a ClusterRole's like, of which there is one name in a cluster. */ -}}
{{- define "llm.clusterwide" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end }}

{{- define "llm.replicas" -}}
{{ eq .Values.kind "StatefulSet" | ternary (len .Values.nodes) (int .Values.replicas) }}
{{- end }}

{{- define "llm.most" -}}
{{ int .Values.autoscaling.maxReplicas | default (include "llm.replicas" . | int) }}
{{- end }}

{{- /* How many engines there are at the least, while all of them run. */ -}}
{{- define "llm.fewest" -}}
{{- if .Values.autoscaling.enabled -}}
{{ min (max (int .Values.autoscaling.minReplicas) (int .Values.disruption.minAvailable)) (include "llm.most" . | int) }}
{{- else -}}
{{ include "llm.replicas" . }}
{{- end -}}
{{- end }}

{{- /* What the plans of all models need, in MiB: a tenth more, and the interpreter with HTTP, keys and requests. */ -}}
{{- define "llm.memory" -}}
{{- $sum := 0 }}
{{- range .Values.models }}
{{- $sum = add $sum (int64 .memoryBytes) }}
{{- end }}
{{- add 96 (div (mul $sum 11) 10485760) 1 }}Mi
{{- end }}

{{- define "llm.command" -}}
[/usr/bin/python3.11, -I, -B, -m]
{{- end }}

{{- /* One of the standard that Kubernetes calls restricted. Without fsGroup: with it the kubelet would hand the node's
model store to that group. */ -}}
{{- define "llm.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "llm.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* The operator's socket and what libraries write: gone with the pod, and never on a disk. */ -}}
{{- define "llm.scratch" -}}
- name: run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}

{{- define "llm.scratchMounts" -}}
- {name: settings, mountPath: /etc/holdfast, readOnly: true}
- {name: secrets, mountPath: /run/secrets/holdfast, readOnly: true}
- {name: store, mountPath: /models, readOnly: true}
- {name: run, mountPath: /run/holdfast}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "llm.drain" -}}
exec:
  command:
    - /usr/bin/python3.11
    - -I
    - -B
    - -m
    - holdfast_inference.server.operator
    - drain
    - '{"hand_over_after": {{ int . }}}'
{{- end }}

{{- define "llm.models" -}}
[models]
{{- range $name, $model := .Values.models }}
{{ $name | quote }} = {{ printf "/models/%s" $model.folder | quote }}
{{- end }}
{{- end }}

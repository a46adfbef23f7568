{{- /* SPDX-FileCopyrightText: 2026 The Holdfast authors */ -}}
{{- /* SPDX-License-Identifier: GPL-3.0-or-later */ -}}
{{- define "coredns.labels" -}}
app.kubernetes.io/name: coredns
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "coredns.selector" -}}
app.kubernetes.io/name: coredns
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "coredns.spread" -}}
topologyKey: kubernetes.io/hostname
labelSelector:
  matchLabels:
    {{- include "coredns.selector" . | nindent 4 }}
{{- end }}

{{- /* SPDX-FileCopyrightText: 2026 The Holdfast authors */ -}}
{{- /* SPDX-License-Identifier: GPL-3.0-or-later */ -}}
{{- define "llm.enginePod" -}}
metadata:
  labels:
    {{- include "llm.engine" . | nindent 4 }}
  annotations:
    # Other settings or another model: a new pod, one after the other.
    checksum/settings: {{ include (print $.Template.BasePath "/engine/settings.yaml") . | sha256sum }}
spec:
  serviceAccountName: {{ .Release.Name }}-engine
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- if .Values.priorityClass.create }}
  priorityClassName: {{ include "llm.clusterwide" . }}
  {{- end }}
  # The hand-over, then SIGTERM and what drain_seconds grants it.
  terminationGracePeriodSeconds: {{ add (int .Values.engine.handOverSeconds) 15 }}
  securityContext:
    {{- include "llm.podSecurity" . | nindent 4 }}
  {{- with .Values.engine.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  affinity:
    {{- with .Values.engine.affinity }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        - topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "llm.engine" . | nindent 14 }}
          {{- if eq .Values.kind "Deployment" }}
          # An old one and its successor may share a node for as long as the update takes.
          matchLabelKeys: [pod-template-hash]
          {{- end }}
  tolerations:
    - key: node-role.kubernetes.io/control-plane
      operator: Exists
      effect: NoSchedule
    {{- if eq .Values.kind "StatefulSet" }}
    # Its model lies on that node and nowhere else it could go, so it waits there for the node to come back.
    - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute}
    - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute}
    {{- end }}
    {{- with .Values.engine.tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  containers:
    - name: engine
      image: {{ include "llm.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: {{ include "llm.command" . }}
      args: [holdfast_inference.server, run, --settings, /etc/holdfast/inference.toml]
      {{- if .Values.engine.hugePages }}
      env:
        - {name: GLIBC_TUNABLES, value: glibc.malloc.hugetlb=1}
      {{- end }}
      ports:
        - {name: http, containerPort: {{ int .Values.engine.port }}, protocol: TCP}
        - {name: heartbeat, containerPort: {{ int .Values.engine.heartbeatPort }}, protocol: UDP}
      # A model that is being loaded is not ready; one that is hot or draining later must not be killed for it.
      startupProbe:
        httpGet: {path: /health/ready, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: {{ div (add (int .Values.engine.startSeconds) 1) 2 }}
      readinessProbe:
        httpGet: {path: /health/ready, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 1
      livenessProbe:
        httpGet: {path: /health/live, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      lifecycle:
        preStop:
          {{- include "llm.drain" .Values.engine.handOverSeconds | nindent 10 }}
      securityContext:
        {{- include "llm.containerSecurity" . | nindent 8 }}
      resources:
        requests: {cpu: {{ .Values.engine.cpu | quote }}, memory: {{ include "llm.memory" . }}}
        limits: {cpu: {{ .Values.engine.cpu | quote }}, memory: {{ include "llm.memory" . }}}
      volumeMounts:
        {{- include "llm.scratchMounts" . | nindent 8 }}
  volumes:
    - name: settings
      configMap: {name: {{ .Release.Name }}-engine}
    - name: secrets
      secret: {secretName: {{ .Values.secrets.engine }}, defaultMode: 0444}
    {{- if eq .Values.kind "Deployment" }}
    - name: store
      persistentVolumeClaim: {claimName: {{ .Values.store.claim }}, readOnly: true}
    {{- end }}
    {{- include "llm.scratch" . | nindent 4 }}
{{- end }}

{{- define "token-sidecar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "token-sidecar.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "token-sidecar.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "token-sidecar.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "token-sidecar.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
app.kubernetes.io/name: {{ include "token-sidecar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* By the name, too: a parent chart's pods are of the same release, and may be a gateway themselves. */}}
{{- define "token-sidecar.gatewaySelector" -}}
app.kubernetes.io/name: {{ include "token-sidecar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{/* The label by which monitoring finds pods with the sidecar; put it on the pod. */}}
{{- define "token-sidecar.podLabels" -}}
token-sidecar/scrape: "true"
{{- end -}}

{{- define "token-sidecar.clientSecretName" -}}
{{- if .Values.clientSecret.value -}}
{{- include "token-sidecar.fullname" . }}-client
{{- else -}}
{{- required "clientSecret.existingSecret: the Secret with the API client's secret is required" .Values.clientSecret.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "token-sidecar.fleetSecretName" -}}
{{- default (include "token-sidecar.fullname" .) .Values.store.kubernetes.secretName -}}
{{- end -}}

{{- define "token-sidecar.serviceAccountName" -}}
{{- default (include "token-sidecar.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

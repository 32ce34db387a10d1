{{/*
The container, the one place where it is defined: apps' pods get it by "token-sidecar.container", the gateway by
"token-sidecar.containerSpec" with other listeners.
*/}}
{{- define "token-sidecar.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- define "token-sidecar.env" -}}
- name: CLIENT_SECRET_FILE
  value: /run/secrets/token-sidecar/client/{{ .Values.clientSecret.key }}
- name: OPS_LISTEN
  value: "{{ .Values.ports.address }}:{{ .Values.ports.ops }}"
- name: TOKEN_STORE
{{- if eq .Values.store.kind "kubernetes" }}
  value: kubernetes:{{ .Release.Namespace }}/{{ include "token-sidecar.fleetSecretName" . }}
{{- else if eq .Values.store.kind "redis" }}
  valueFrom:
    secretKeyRef:
      name: {{ required "store.redis.existingSecret: the Secret with the URL of Redis is required" .Values.store.redis.existingSecret }}
      key: {{ .Values.store.redis.key }}
{{- else }}
  value: "memory:"
{{- end }}
{{- if not .Values.settings.UPSTREAM_URL }}{{ fail "settings.UPSTREAM_URL: the base URL of the business APIs is required" }}{{ end }}
{{- range $name, $value := .Values.settings }}
{{- /* A large number would be written as 1e+06. */ -}}
{{- $text := ternary (printf "%.0f" (float64 $value)) (toString $value) (kindIs "float64" $value) }}
{{- if ne $text "" }}
- name: {{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
What the chart's own pods and an app's pod have in common. Takes a dict: root; env (more of it); readiness; resources (else those of
the values); command (else serve: another one ends by itself and is asked nothing).
*/}}
{{- define "token-sidecar.containerSpec" -}}
{{- $root := .root -}}
{{- $command := default "serve" .command -}}
name: token-sidecar
image: {{ include "token-sidecar.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [{{ $command }}]
env:
  {{- include "token-sidecar.env" $root | nindent 2 }}
  {{- with .env }}
  {{- . | nindent 2 }}
  {{- end }}
{{- if eq $command "serve" }}
ports:
  - name: ts-ops
    containerPort: {{ $root.Values.ports.ops }}
startupProbe:
  httpGet: { path: /startupz, port: ts-ops }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /livez, port: ts-ops }
  periodSeconds: 10
  failureThreshold: 3
{{- if .readiness }}
readinessProbe:
  httpGet: { path: /readyz, port: ts-ops }
  periodSeconds: 5
  failureThreshold: 2
{{- end }}
{{- end }}
resources:
  {{- toYaml (default $root.Values.resources .resources) | nindent 2 }}
securityContext:
  {{- toYaml $root.Values.securityContext | nindent 2 }}
volumeMounts:
  - name: token-sidecar-client
    mountPath: /run/secrets/token-sidecar/client
    readOnly: true
  {{- if eq $root.Values.store.kind "kubernetes" }}
  - name: token-sidecar-api
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
  {{- with $root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
The container goes on for so many seconds after it was told to end. Takes a dict: root, seconds. Before 1.30 the kubelet cannot sleep
by itself, and the image has no shell.
*/}}
{{- define "token-sidecar.preStop" -}}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30-0" .root.Capabilities.KubeVersion.Version }}
    sleep: { seconds: {{ .seconds }} }
    {{- else }}
    exec:
      command: [/nodejs/bin/node, -e, "setTimeout(() => {}, {{ mul .seconds 1000 }})"]
    {{- end }}
{{- end -}}

{{/*
The kubelet kills what has not ended by then: preStop, SHUTDOWN_TIMEOUT (whose own default is 25s) and 5 s to end after it.
*/}}
{{- define "token-sidecar.gatewayGraceSeconds" -}}
{{- with .Values.gateway -}}
{{- if kindIs "invalid" .terminationGracePeriodSeconds -}}
{{- $timeout := toString (default "25s" $.Values.settings.SHUTDOWN_TIMEOUT) -}}
{{- if not (regexMatch "^(0|[1-9][0-9]*)(ms|s|m|h)$" $timeout) -}}
{{- fail (printf "settings.SHUTDOWN_TIMEOUT: must be a whole number with a unit, such as 25s, not %s" $timeout) -}}
{{- end -}}
{{- $unit := index (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) (regexFind "[a-z]+$" $timeout) -}}
{{- $ms := mul (regexFind "^[0-9]+" $timeout) $unit -}}
{{- add .preStopSleepSeconds (div (add $ms 999) 1000) 5 -}}
{{- else -}}
{{- int64 .terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* For an app's pod, under initContainers (or under containers with native=false). */}}
{{- define "token-sidecar.container" -}}
{{- $listen := printf "- name: LISTEN\n  value: \"127.0.0.1:%v\"" .Values.ports.proxy -}}
- {{ include "token-sidecar.containerSpec" (dict "root" . "env" $listen "readiness" .Values.readiness.enabled) | nindent 2 | trim }}
  {{- if .Values.native }}
  {{- if semverCompare "<1.29-0" .Capabilities.KubeVersion.Version }}
  {{- fail (printf "native: Kubernetes %s does not keep init containers running; set native=false and list the container under containers" .Capabilities.KubeVersion.Version) }}
  {{- end }}
  restartPolicy: Always
  {{- else if .Values.preStopSleepSeconds }}
  {{- include "token-sidecar.preStop" (dict "root" . "seconds" .Values.preStopSleepSeconds) | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* For an app's pod, under volumes. Only the sidecar mounts them, so the app sees neither secret nor API token. */}}
{{- define "token-sidecar.volumes" -}}
- name: token-sidecar-client
  secret:
    secretName: {{ include "token-sidecar.clientSecretName" . }}
    items:
      {{- range prepend .Values.clientSecret.moreKeys .Values.clientSecret.key }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- if eq .Values.store.kind "kubernetes" }}
- name: token-sidecar-api
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - { key: ca.crt, path: ca.crt }
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: { fieldPath: metadata.namespace }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

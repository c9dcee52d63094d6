{{/* Every helper that needs a component takes (list $ "component"); a component has the name of its folder in services/. */}}

{{- define "slipway.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "slipway" $name) }}{{ $name = printf "%s-slipway" $name }}{{ end -}}
{{- default $name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "slipway.name" -}}
{{ include "slipway.fullname" (index . 0) }}-{{ index . 1 }}
{{- end }}

{{/* Pods of runs have the same name label without the instance label, so that no Service or Deployment selects them. */}}
{{- define "slipway.selectorLabels" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "slipway.labels" -}}
{{ include "slipway.selectorLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{- define "slipway.metadata" -}}
name: {{ include "slipway.name" . }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "slipway.labels" . | nindent 2 }}
{{- end }}

{{/* Metadata of an object that monitors the whole release: (list $ "-suffix" labels). */}}
{{- define "slipway.monitoring" -}}
name: {{ include "slipway.fullname" (index . 0) }}{{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  app.kubernetes.io/name: slipway
  app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
  app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
  {{- with index . 2 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Annotations by which Prometheus discovers a pod's metrics: (list $ port). Left out with a PodMonitor, which would scrape them twice. */}}
{{- define "slipway.scraped" -}}
{{- with (index . 0).Values.monitoring -}}
{{- if and .annotations (not .podMonitor.enabled) -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index $ 1 | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}
{{- end }}

{{/* (list $ "light") */}}
{{- define "slipway.image" -}}
{{- $images := (index . 0).Values.images -}}
{{- $image := index $images (index . 1) -}}
{{- $tag := coalesce $image.tag $images.tag (index . 0).Chart.AppVersion -}}
{{ default $images.registry $image.registry }}/{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{- define "slipway.storeSecret" -}}
{{ default (include "slipway.name" (list . "s3")) .Values.store.existingSecret }}
{{- end }}

{{- define "slipway.makesStoreKeys" -}}
{{- if and .Values.s3.enabled (not .Values.store.existingSecret) }}true{{ end -}}
{{- end }}

{{- define "slipway.tokensSecret" -}}
{{ default (include "slipway.name" (list . "tokens")) .Values.api.tokens.existingSecret }}
{{- end }}

{{- define "slipway.makesTokens" -}}
{{- if and (or .Values.api.enabled .Values.detector.enabled) (not .Values.api.tokens.existingSecret) }}true{{ end -}}
{{- end }}

{{- define "slipway.serviceAccount" -}}
{{- $account := dig (index . 1) "serviceAccount" "name" "" (index . 0).Values.AsMap -}}
{{ default (include "slipway.name" .) $account }}
{{- end }}

{{/* Labels that do not change with the chart's version, so that an upgrade replaces only pods that differ. */}}
{{- define "slipway.podLabels" -}}
{{ include "slipway.selectorLabels" . }}
{{- with (index . 0).Values.pods.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Fields that all pods share: security context, and scheduling. */}}
{{- define "slipway.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Spreads the pods of a Deployment over the nodes, as far as there are enough. */}}
{{- define "slipway.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "slipway.selectorLabels" . | nindent 8 }}
{{- end }}

{{- define "slipway.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "slipway.namespaceVariable" -}}
- name: NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end }}

{{/* Keys of settings.yaml that have another place in the chart, or were removed. */}}
{{- define "slipway.checkRemoved" -}}
{{- if .Values.settings.store }}{{ fail "settings.store is gone: set store.url, and store.existingSecret for what was settings.store.secret" }}{{ end -}}
{{- if .Values.settings.images }}{{ fail "settings.images is gone: set images.registry, images.tag, images.data and images.tf" }}{{ end -}}
{{- if .Values.settings.imagePullPolicy }}{{ fail "settings.imagePullPolicy is gone: set images.pullPolicy" }}{{ end -}}
{{- end }}

{{/* settings.yaml of the controller: the values of `settings`, and fields from other values. */}}
{{- define "slipway.settings" -}}
{{- include "slipway.checkRemoved" . -}}
{{- $pools := deepCopy .Values.settings.pools -}}
{{- range $name, $pool := $pools -}}
{{- if and $.Values.images.pullSecrets (not $pool.imagePullSecrets) }}{{ $_ := set $pool "imagePullSecrets" $.Values.images.pullSecrets }}{{ end -}}
{{- end -}}
{{- $images := dict "data" (include "slipway.image" (list . "data")) "tf" (include "slipway.image" (list . "tf")) -}}
{{- $store := dict "url" .Values.store.url "secret" (include "slipway.storeSecret" .) -}}
{{- $own := dict "store" $store "images" $images "imagePullPolicy" .Values.images.pullPolicy "pools" $pools -}}
{{- with include "slipway.proxy" . | fromYaml }}{{ $_ := set $own "env" . }}{{ end -}}
{{- with .Values.ca.configMap }}{{ $_ := set $own "caConfigMap" . }}{{ end -}}
{{- merge $own .Values.settings | toYaml -}}
{{- end }}

{{/* Account, Role and its binding: (list $ "component" rules). */}}
{{- define "slipway.rights" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "slipway.metadata" . | nindent 2 }}
  {{- with dig (index . 1) "serviceAccount" "annotations" dict $root.Values.AsMap }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "slipway.metadata" . | nindent 2 }}
rules:
  {{- index . 2 | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "slipway.metadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "slipway.name" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "slipway.serviceAccount" . }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}

{{/* The store's address. Its keys come from its Secret. */}}
{{- define "slipway.storeVariables" -}}
- name: SLIPWAY_STORE
  value: {{ .Values.store.url }}
{{- with include "slipway.caVariables" . }}{{ . | nindent 0 }}{{ end }}
{{- end }}

{{- define "slipway.caVariables" -}}
{{- if .Values.ca.configMap -}}
- {name: SLIPWAY_S3_CA_FILE, value: /etc/slipway-ca/ca.crt}
- {name: SSL_CERT_FILE, value: /etc/slipway-ca/ca.crt}
{{- end }}
{{- end }}

{{- define "slipway.caMount" -}}
{{- if .Values.ca.configMap -}}
- {name: ca, mountPath: /etc/slipway-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "slipway.caVolume" -}}
{{- with .Values.ca.configMap -}}
- name: ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end }}

{{/* The proxy's variables as a map; the API server is never behind it, and the kubelet fills in its address. */}}
{{- define "slipway.proxy" -}}
{{- with .Values.proxy.url }}
HTTP_PROXY: {{ . | quote }}
HTTPS_PROXY: {{ . | quote }}
NO_PROXY: {{ prepend $.Values.proxy.except "$(KUBERNETES_SERVICE_HOST)" | join "," | quote }}
{{- end }}
{{- end }}

{{- define "slipway.proxyVariables" -}}
{{- range $name, $value := include "slipway.proxy" . | fromYaml -}}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{ end -}}
{{- end }}

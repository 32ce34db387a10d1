import type { LabelSelector, ObjectMeta } from 'kubernetes-types/meta/v1'

/*
 * Of the Prometheus operator's API, what the chart uses:
 * https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1
 */

export interface PodMonitor {
  readonly apiVersion: 'monitoring.coreos.com/v1'
  readonly kind: 'PodMonitor'
  readonly metadata: ObjectMeta
  readonly spec: {
    readonly selector: LabelSelector
    readonly podMetricsEndpoints: readonly {
      readonly port: string
      readonly path: string
      readonly interval: string
    }[]
  }
}

export interface PrometheusRule {
  readonly apiVersion: 'monitoring.coreos.com/v1'
  readonly kind: 'PrometheusRule'
  readonly metadata: ObjectMeta
  readonly spec: {
    readonly groups: readonly {
      readonly name: string
      readonly rules: readonly {
        readonly alert: string
        readonly expr: string
        readonly for?: string
        readonly labels: { readonly severity: 'critical' | 'warning' }
        readonly annotations: {
          readonly summary: string
          readonly runbook: string
          readonly runbook_url?: string
        }
      }[]
    }[]
  }
}

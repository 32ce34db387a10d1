import type { FloodName } from './floods.ts'

export type ToAttacker =
  /** A share of each flood's lanes attacks the sidecar at that port until told to end. */
  | {
      readonly kind: 'begin'
      readonly floods: readonly FloodName[]
      readonly port: number
      readonly share: number
    }
  | { readonly kind: 'end' }

export type FromAttacker =
  | { readonly kind: 'ready'; readonly upstreamPort: number }
  /** How often each flood went through, and what the sidecar did wrong. */
  | {
      readonly kind: 'ended'
      readonly counts: readonly (readonly [FloodName, number])[]
      readonly faults: readonly string[]
    }

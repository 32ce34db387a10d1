import type { CredentialState, CredentialStatus } from '../../token/status.ts'
import { type Html, html } from '../html.ts'
import type { PageFacts } from './facts.ts'

/**
 * How something stands, at a glance. `good`: nothing to do. `turning`: work is under way as it should be. `warn`: calls go
 * through, and somebody should look. `bad`: calls fail, or a person must act. Names are classes of the style sheet.
 */
export type Mood = 'good' | 'turning' | 'warn' | 'bad'

const STATE_MOODS: Readonly<Record<CredentialState, Mood>> = {
  starting: 'turning',
  fresh: 'good',
  rotating: 'turning',
  suspect: 'warn',
  backing_off: 'warn',
  rejected: 'bad',
}

export function credentialMood({ state, usable, store }: CredentialStatus): Mood {
  const mood = STATE_MOODS[state]
  if (!usable) return mood === 'turning' ? mood : 'bad'
  return mood === 'good' && !store.healthy ? 'warn' : mood
}

/** Of the whole sidecar. A rotation of a token that serves meanwhile is no news here. */
export function sidecarMood({ readiness, draining, credentials }: PageFacts): Mood {
  const moods = credentials.map(credentialMood)
  if (draining) return 'turning'
  if (!readiness.ok) return moods.some((mood) => mood === 'bad') ? 'bad' : 'turning'
  return moods.some((mood) => mood === 'warn' || mood === 'bad') ? 'warn' : 'good'
}

/** Each has a shape of its own, for who cannot tell the colours apart. */
const SHAPES: Readonly<Record<Mood, string>> = {
  good: 'M6.5 12.5l3.7 3.7 7.3-8',
  turning: 'M17.3 9.5a6 6 0 1 0 .6 4M17.8 6v3.8H14',
  warn: 'M12 6.5v7M12 17v.2',
  bad: 'M8 8l8 8M16 8l-8 8',
}

export function icon(mood: Mood): Html {
  return html`<svg class="icon ${mood}" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="11"/><path d="${SHAPES[mood]}"/></svg>`
}

/** Dark enough for the white sign in them, in either colour scheme. */
const TAB_COLOURS: Readonly<Record<Mood, string>> = {
  good: '#18733c',
  turning: '#2457c5',
  warn: '#9a5b00',
  bad: '#b3261e',
}

/** The sign in the browser's tab, as a `data:` address: the page loads nothing. */
export function tabIcon(mood: Mood): string {
  const svg = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"><circle cx="12" cy="12" r="12" stroke="none" fill="${TAB_COLOURS[mood]}"/><path d="${SHAPES[mood]}"/></svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg.text)}`
}

import type { CredentialStatus, MintReason, RecentMint } from '../../token/status.ts'
import { type Html, type HtmlValue, html } from '../html.ts'
import { formatSpan } from '../time-span.ts'
import { distance, instant } from './figures.ts'
import { table } from './table.ts'

/** Clear's own limit for each secret and UTC day; what the budget leaves of it is for people. */
const QUOTA = 288

export function budget({ mints: { today, budget: limit } }: CredentialStatus): Html {
  const share = (value: number) => `${((Math.min(value, QUOTA) / QUOTA) * 100).toFixed(1)}%`
  const level = today >= limit ? 'bad' : today >= limit * 0.75 ? 'warn' : 'good'
  return html`<div class="budget ${level}">
<p><strong>${today}</strong> of ${limit} requests for tokens used today</p>
<svg class="span" role="img" aria-label="${today} of ${limit} used; Clear allows ${QUOTA}"><rect class="track" width="100%" height="100%"/><rect class="used" width="${share(today)}" height="100%"/><line class="limit" x1="${share(limit)}" x2="${share(limit)}" y2="100%"/></svg>
<p class="quiet">All replicas together. Clear’s own limit is ${QUOTA}; both begin anew at 00:00 UTC.</p>
</div>`
}

const OUTCOMES: Readonly<Record<RecentMint['outcome'], readonly [mood: string, words: string]>> = {
  minted: ['good', 'minted'],
  adopted: ['good', 'adopted'],
  rejected: ['bad', 'rejected'],
  quota: ['bad', 'quota'],
  error: ['warn', 'error'],
  unknown: ['warn', 'unknown'],
}

const REASONS: Readonly<Record<MintReason, string>> = {
  asked: 'somebody asked',
  secret_changed: 'the secret changed',
  missing: 'no usable token',
  unknown_outcome: 'the last outcome is unknown',
  rejected: 'a call was rejected',
  refresh: 'its end came near',
  scheduled: 'on schedule',
}

export function recentMints({ name, mints: { recent } }: CredentialStatus, now: number): Html {
  if (recent.length === 0) return html`<p class="quiet">None since the start.</p>`
  return table(
    `Recent mints of credential ${name}`,
    ['When', 'Outcome', 'Token', 'Why', 'Took'],
    recent.map((mint) => row(mint, now)),
    'mints',
  )
}

function row({ at, outcome, reason, durationMs, generation, fingerprint, error }: RecentMint, now: number) {
  const [mood, words] = OUTCOMES[outcome]
  const ago =
    now - at < 60_000 ? distance(at, now) : `${formatSpan(Math.floor((now - at) / 60_000) * 60_000)} ago`
  const when = html`${instant(at, now)} <span class="quiet">${ago}</span>`
  const cells: HtmlValue[] = [
    when,
    html`<span class="tag ${mood}">${words}</span>`,
    generation === null ? errorOf(error) : html`${generation} <code>${fingerprint}</code>`,
    reason === null ? 'another process minted it' : REASONS[reason],
    durationMs === null ? '–' : `${Math.round(durationMs)} ms`,
  ]
  return cells
}

function errorOf(error: RecentMint['error']): HtmlValue {
  if (error === null) return '–'
  return html`<code>${error.code}</code>${error.errorId === null ? null : html` error id <code>${error.errorId}</code>`}`
}

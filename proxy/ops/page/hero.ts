import type { CredentialStatus } from '../../token/status.ts'
import { type Html, html } from '../html.ts'
import { formatSpan } from '../time-span.ts'
import type { PageFacts } from './facts.ts'
import { instant } from './figures.ts'
import { credentialMood, icon, type Mood, sidecarMood } from './mood.ts'

/** The answer to the one question most people come with. */
export function hero(facts: PageFacts): Html {
  const mood = sidecarMood(facts)
  const { verdict, sentence } = summary(facts, mood)
  return html`<div id="hero" class="hero ${mood}">${icon(mood)}<div><p class="verdict">${verdict}</p><p>${sentence}</p></div></div>`
}

export function summary(facts: PageFacts, mood: Mood): { verdict: string; sentence: string } {
  const { readiness, draining, credentials } = facts
  if (draining)
    return { verdict: 'Draining', sentence: 'Calls under way are finishing, new ones are refused.' }
  if (!readiness.ok) {
    const lacking = credentials.filter(({ usable }) => !usable).map(({ name }) => name)
    const verdict = mood === 'turning' ? 'Starting' : 'Not ready'
    if (lacking.length === 0) return { verdict, sentence: `${readiness.reason ?? ''}.` }
    const answer = mood === 'turning' ? 'Calls wait for it.' : 'Calls get a 503.'
    return { verdict, sentence: `No usable token for ${named(lacking)}: ${why(credentials)}. ${answer}` }
  }
  if (mood === 'good') {
    const rotating = credentials.filter(({ state }) => state === 'rotating').map(({ name }) => name)
    if (rotating.length === 0) return { verdict: 'Ready', sentence: 'Calls go out with a valid token.' }
    return { verdict: 'Ready', sentence: `A new token for ${named(rotating)} is being fetched.` }
  }
  return {
    verdict: 'Ready, with a warning',
    sentence: `Calls go out, but ${doubt(credentials)}.`,
  }
}

/** The first reason there is; the problems below have all of them. */
function why(credentials: readonly CredentialStatus[]): string {
  const lacking = credentials.filter(({ usable }) => !usable)
  if (lacking.some(({ state }) => state === 'rejected')) return 'the client secret is rejected'
  if (lacking.some(({ store }) => !store.healthy)) return 'the token store does not answer'
  const isWaiting = lacking.some(({ lastError }) => lastError !== null)
  return isWaiting ? 'the token API has given none' : 'the first one is being fetched'
}

/** Why it may not last. */
function doubt(credentials: readonly CredentialStatus[]): string {
  const uneasy = credentials.find((one) => ['warn', 'bad'].includes(credentialMood(one)))
  if (uneasy === undefined) return 'something needs a look'
  const { name, state, store } = uneasy
  if (state === 'rejected') return `the client secret of credential ${name} is rejected`
  if (!store.healthy) return `the token store of credential ${name} does not answer`
  return state === 'suspect'
    ? `the token of credential ${name} may be dead`
    : `no new token for credential ${name} could be had`
}

function named(names: readonly string[]): string {
  return names.length === 1 ? `credential ${names[0]}` : `credentials ${names.join(', ')}`
}

/** What a screen reader says by itself. It changes when a state or a token does, and never with time alone. */
export function announcement(facts: PageFacts): Html {
  const { verdict } = summary(facts, sidecarMood(facts))
  const states = facts.credentials.map(({ name, state, generation }) => {
    const token = generation === 0 ? 'no token yet' : `token number ${generation}`
    return `Credential ${name}: ${words(state)}, ${token}.`
  })
  return html`<p id="announcement" class="unseen" role="status">${verdict}. ${states.join(' ')}</p>`
}

/** `backing_off` to be read. */
export const words = (state: string): string => state.replaceAll('_', ' ')

export function about({ version, startedAt, now }: PageFacts): Html {
  return html`<p id="about">Version ${version}, up ${formatSpan(Math.max(0, now - startedAt))}. As of ${instant(now, now)} UTC.</p>`
}

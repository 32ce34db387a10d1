import type { CredentialState, CredentialStatus } from '../../token/status.ts'
import { type Html, html } from '../html.ts'
import { count } from './figures.ts'
import { words } from './hero.ts'
import { budget, recentMints } from './mints.ts'
import { credentialMood, icon } from './mood.ts'
import { figures } from './table.ts'
import { timeline } from './timeline.ts'

const SENTENCES: Readonly<Record<CredentialState, string>> = {
  starting: 'The first token is being fetched.',
  fresh: 'The token is in use.',
  rotating: 'A new token is being fetched; the old one dies at that moment, so calls wait.',
  suspect: 'The token may be dead. Calls go on with it, and a rejected one waits for the replacement.',
  backing_off: 'No new token could be had; the next attempt comes after a pause.',
  rejected: 'The token API rejects the client secret: a person must act.',
}

/** How long a new fingerprint is shown to be new. */
const NEW_MS = 6_000

/** All there is to know about one credential; `id` names its place in the page. */
export function credentialCard(credential: CredentialStatus, id: string, now: number): Html {
  const { name, state, generation, fingerprint, mintedAt, mints, store, foreignMints } = credential
  const mood = credentialMood(credential)
  const isNew = mintedAt !== null && now - mintedAt < NEW_MS
  return html`<article id="${id}" class="card credential ${mood}" aria-labelledby="${id}-name">
<div class="lead">
${icon(mood)}
<div><h3 id="${id}-name">${name} <span class="tag ${mood}">${words(state)}</span></h3><p class="quiet">${SENTENCES[state]}</p></div>
<p class="token"><span class="quiet">${generation === 0 ? 'token' : `token ${generation}`}</span> <code class="${isNew ? 'fingerprint new' : 'fingerprint'}">${fingerprint ?? 'none yet'}</code></p>
</div>
${timeline(credential, now)}
<div class="columns">
<section aria-labelledby="${id}-mints"><h4 id="${id}-mints">Recent mints</h4>${recentMints(credential, now)}</section>
<section aria-labelledby="${id}-budget"><h4 id="${id}-budget">Budget and store</h4>
${budget(credential)}
${figures([
  ['Sent by this process', `${count(mints.total)}, ${count(mints.failed)} failed`],
  [
    'Mints by somebody else',
    html`<span class="${foreignMints > 0 ? 'warn' : 'plain'}">${count(foreignMints)}</span>`,
  ],
  [
    'Store',
    html`<span class="${store.healthy ? 'good' : 'bad'}">${store.kind}, ${store.healthy ? 'healthy' : 'failing'}</span>`,
  ],
  ['Store errors', count(store.errors)],
])}
</section>
</div>
</article>`
}

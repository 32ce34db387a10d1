import { type Html, html } from '../html.ts'
import { callSection } from './calls.ts'
import { credentialCard } from './credential.ts'
import { errorSection } from './errors.ts'
import type { PageFacts } from './facts.ts'
import { about, announcement, hero } from './hero.ts'
import { sidecarMood, tabIcon } from './mood.ts'
import { problemSection } from './problems.ts'

/** An element of the page that changes by itself; it is found again by its id. */
export interface Part {
  readonly id: string
  readonly html: Html
}

/** Every part, in no order. A page that is made of them and one that is kept up to date with them are the same page. */
export function parts(facts: PageFacts): readonly Part[] {
  const mood = sidecarMood(facts)
  const title = { good: 'Ready', turning: 'Starting', warn: 'Ready, with a warning', bad: 'Not ready' }[mood]
  return [
    {
      id: 'title',
      html: html`<title id="title">${facts.draining ? 'Draining' : title} – token-sidecar</title>`,
    },
    { id: 'icon', html: html`<link id="icon" rel="icon" href="${tabIcon(mood)}">` },
    { id: 'hero', html: hero(facts) },
    { id: 'about', html: about(facts) },
    { id: 'announcement', html: announcement(facts) },
    { id: 'problems', html: problemSection(facts) },
    ...facts.credentials.map((credential, index) => {
      const id = credentialId(index)
      return { id, html: credentialCard(credential, id, facts.now) }
    }),
    { id: 'calls', html: callSection(facts) },
    { id: 'errors', html: errorSection(facts) },
  ]
}

export const credentialId = (index: number): string => `credential-${index}`

import { type Html, html } from '../html.ts'
import type { PageFacts } from './facts.ts'
import { distance, instant } from './figures.ts'
import { icon, type Mood } from './mood.ts'
import { type PageProblem, problemList } from './problem-list.ts'

/** What went wrong, in words: open problems at length, those that are over to be unfolded. */
export function problemSection(facts: PageFacts): Html {
  const problems = problemList(facts)
  const open = problems.filter(({ isOpen }) => isOpen)
  const over = problems.filter(({ isOpen }) => !isOpen)
  const verdict = open.length > 0 ? null : html`<p class="quiet">Nothing needs your attention.</p>`
  return html`<section id="problems" aria-labelledby="problems-name">
<h2 id="problems-name">Problems</h2>
${verdict}${open.map((problem) => openProblem(problem, facts.readiness.ok ? 'warn' : 'bad', facts.now))}${over.map((problem, index) => pastProblem(problem, index, facts.now))}
</section>`
}

function openProblem(problem: PageProblem, mood: Mood, now: number): Html {
  return html`<article class="card problem ${mood}">${icon(mood)}<div>
<h3><code>${problem.code}</code> <span class="quiet">${circumstances(problem, now)}</span></h3>
${explained(problem)}
</div></article>
`
}

/** Its id keeps it unfolded while others come and go. */
function pastProblem(problem: PageProblem, index: number, now: number): Html {
  return html`<details class="card problem" id="past-${problem.code}-${index}"><summary><code>${problem.code}</code> <span class="quiet">${circumstances(problem, now)}</span></summary>
${explained(problem)}
</details>
`
}

function circumstances({ about, at, errorId }: PageProblem, now: number): Html {
  const when = at === null ? null : html` · ${instant(at, now)}, ${distance(at, now)}`
  return html`${about}${when}${errorId === null ? null : html` · error id <code>${errorId}</code>`}`
}

function explained({ advice: { meaning, causes, next, help } }: PageProblem): Html {
  const likely = html`<div><p>Likely causes:</p><ul>${causes.map((cause) => html`<li>${cause}</li>`)}</ul></div>`
  return html`<div class="explained"><div><p>${meaning}</p><p><strong>What to do:</strong> ${next}</p><p class="quiet">At length: <code>${help}</code></p></div>${causes.length === 0 ? null : likely}</div>`
}

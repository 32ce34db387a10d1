import { Html, html } from '../html.ts'
import type { PageAssets } from './assets.ts'
import type { PageFacts } from './facts.ts'
import { credentialId, parts } from './parts.ts'
import { table } from './table.ts'

const REFRESH_S = 5

/** The whole page. With a script it keeps itself up to date; without one it is loaded anew every few seconds. */
export function pageDocument(facts: PageFacts, { style, script }: PageAssets, edition: string): string {
  const made = new Map(parts(facts).map((part) => [part.id, part.html]))
  const part = (id: string): Html => made.get(id) ?? html``
  const page = html`<!doctype html>
<html lang="en" data-edition="${edition}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="${REFRESH_S}"></noscript>
${part('title')}
${part('icon')}
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the problems and figures</a>
<header>
<div class="bar"><h1>token-sidecar</h1><p id="link" class="link"></p></div>
${part('hero')}
</header>
${part('announcement')}
<main id="main" tabindex="-1">
${part('problems')}
<section aria-labelledby="credentials-name">
<h2 id="credentials-name">Credentials</h2>
${facts.credentials.map(
  (_, index) => html`${part(credentialId(index))}
`,
)}</section>
${part('calls')}
${part('errors')}
<section aria-labelledby="routes-name">
<h2 id="routes-name">Routes</h2>
<div class="card">${routeTable(facts)}</div>
</section>
</main>
<footer>${part('about')}<p>For programs: <a href="status">status as JSON</a>, <a href="metrics">metrics for Prometheus</a>.</p></footer>
<script type="module">${new Html(script)}</script>
</body>
</html>
`
  return page.text
}

function routeTable({ routes }: PageFacts): Html {
  return table(
    'Routes',
    ['Name', 'Prefix', 'Upstream', 'Credential'],
    routes.map(({ name, prefix, upstream, credential }) => [
      name,
      html`<code>${prefix}</code>`,
      html`<code>${String(upstream)}</code>`,
      credential,
    ]),
  )
}

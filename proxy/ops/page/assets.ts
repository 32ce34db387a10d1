import { readFileSync } from 'node:fs'

/** What the page consists of besides its content; it stands in the page itself, so nothing else has to be loaded. */
export interface PageAssets {
  readonly style: string
  readonly script: string
}

/** In this order: later ones refine earlier ones. */
export const styleSheets = ['colours', 'base', 'glance', 'surfaces', 'credential', 'charts', 'adaptions']

/** As they are in the sources. In the bundle this module is replaced by their text, made smaller: see scripts/page-assets.ts. */
export const assets: PageAssets = {
  style: styleSheets.map((name) => source(`style/${name}.css`)).join('\n'),
  script: source('browser/page.js'),
}

function source(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8')
}

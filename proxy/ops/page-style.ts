import { createHash } from 'node:crypto'

/** The status page's whole style: system fonts, both colour schemes, tables that scroll inside themselves on a phone. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --paper: #fff; --card: #f6f8fa;
  --good: #116329; --busy: #7d4e00; --bad: #b3101f }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9da7b1; --line: #30363d; --paper: #0d1117;
  --card: #161b22; --good: #56d364; --busy: #e3b341; --bad: #ff7b72 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } h3 { font-size: 1rem; margin: 0 }
p { margin: .25rem 0 } footer, .quiet, dt { color: var(--quiet) } footer { margin-top: 2rem; font-size: .875rem }
section > article, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; margin-bottom: .75rem; overflow-x: auto }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .5rem 1rem; margin: .5rem 0 0 }
dt { font-size: .8125rem } dd { margin: 0; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top }
th { font-weight: 600; font-size: .8125rem; color: var(--quiet) } tbody th { color: inherit; font-size: inherit }
code { font: .875em/1.5 ui-monospace, monospace }
.good { color: var(--good) } .busy { color: var(--busy) } .bad { color: var(--bad) } strong { font-weight: 600 }
`

/** Source expression that lets this style through the page's content security policy. */
export const STYLE_HASH = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, type TestContext } from 'node:test'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
)

/** Why tests in a browser are skipped; false where there is one. */
export const browserSkip = executablePath === undefined && 'there is no Chromium in /usr/bin'

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

let running: Promise<Browser> | null = null

// Of the file that imports this: within a test it would be that test's end.
after(async () => (await running)?.close())

/** One browser for all tests of a file; each page has a profile of its own. */
function browser(): Promise<Browser> {
  if (running === null) {
    const args = [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ]
    // Root, as in a container, has no sandbox to offer.
    if (process.getuid?.() === 0) args.push('--no-sandbox')
    running = chromium.launch({ executablePath: executablePath ?? '', args })
  }
  return running
}

/** A page that keeps what the browser complains of. */
export interface Visit {
  readonly page: Page
  /** Messages of the console, errors of scripts, and what the content security policy kept back. */
  readonly complaints: readonly string[]
  /** What axe finds wrong, as `rule: element`. */
  axe(): Promise<string[]>
}

export async function visit(
  test: TestContext,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  // axe is put into the page by the debugger, which the page's policy would refuse; visits without axe obey it.
  const context = await (await browser()).newContext({ locale: 'en', timezoneId: 'UTC', ...options })
  test.after(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(error.message))
  if (options.javaScriptEnabled !== false) {
    await page.exposeFunction('complain', (text: string) => complaints.push(text))
    await page.addInitScript(
      "addEventListener('securitypolicyviolation', (event) => complain(event.violatedDirective + ' ' + event.blockedURI))",
    )
  }
  await page.goto(url)
  return {
    page,
    complaints,
    async axe() {
      await page.addScriptTag({ path: axePath })
      const found = await page.evaluate('axe.run({ resultTypes: ["violations"] })')
      const { violations } = found as { violations: { id: string; nodes: { html: string }[] }[] }
      return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
    },
  }
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { Page } from 'playwright-core'
import { DEMO_CLIENT, type SandboxOptions } from '../../../sandbox/server.ts'
import { sandboxFor } from '../../sandbox/client.ts'
import { settingsFor } from '../../scenarios/setup.ts'
import { browserSkip, visit } from '../../support/browser.ts'
import { type Sidecar, startSidecar } from '../../support/sidecar-process.ts'

const PHONE = { width: 360, height: 740 }
const WIDE = { width: 1200, height: 900 }

/** The built sidecar in front of the sandbox, holding a token. */
async function held(test: TestContext, options: SandboxOptions = {}, more: Record<string, string> = {}) {
  const sandbox = await sandboxFor(test, { tokenLifeMs: null, ...options })
  const settings = settingsFor(sandbox, more)
  const sidecar = await startSidecar(test, settings)
  await sidecar.ready()
  return { sandbox, settings, sidecar }
}

/** One whose secret the token API rejects, and that had to say so. */
async function rejected(test: TestContext): Promise<Sidecar> {
  const sandbox = await sandboxFor(test)
  const sidecar = await startSidecar(test, settingsFor(sandbox, { CLIENT_SECRET: 'of-somebody-else' }))
  await sidecar.logged('mint_failed')
  await fetch(`${sidecar.url}/echo`)
  return sidecar
}

/** Resolves when the page shows this; the default patience of the browser is 30 s. */
async function shows(page: Page, text: string): Promise<void> {
  await page.getByText(text).first().waitFor()
}

const textOf = (page: Page, selector: string) => page.locator(selector).first().innerText()
const isLive = (page: Page) => page.locator('#link').getByText('Live', { exact: true }).waitFor()

/** Notes each text that an element has from now on. What runs in the browser is text: its types are not ours. */
async function noteTexts(page: Page, selector: string): Promise<() => Promise<string[]>> {
  await page.evaluate(`{
    const seen = globalThis.seenTexts = []
    const note = () => {
      const text = document.querySelector('${selector}')?.textContent.trim()
      if (text !== seen.at(-1)) seen.push(text)
    }
    note()
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true })
  }`)
  return () => page.evaluate('seenTexts')
}

/** Resolves when an element's text is another than it was. */
async function changes(page: Page, selector: string, was: string): Promise<void> {
  await page.locator(selector, { hasNotText: was }).first().waitFor()
}

describe('the status page in a browser', { skip: browserSkip }, () => {
  it('shows a rotation go by without being loaded anew, and nothing is kept back or complained of', async (test) => {
    const { sidecar } = await held(test)
    const { page, complaints } = await visit(test, sidecar.opsUrl, { viewport: WIDE })
    await isLive(page)
    const before = await textOf(page, '.fingerprint')
    const states = await noteTexts(page, '.credential h3 .tag')
    await page.evaluate('document.body.dataset.mark = "the same document"')
    await sidecar.ask('/rotate', { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    await shows(page, 'token 2')
    const after = await textOf(page, '.fingerprint')
    assert.notEqual(after, before)
    assert.equal(after, (await sidecar.status()).credentials[0]?.fingerprint)
    assert.deepEqual(await states(), ['fresh', 'rotating', 'fresh'])
    assert.match(await textOf(page, '.mints'), /minted\s+2\s+\w{8}\s+somebody asked/)
    assert.equal(await page.evaluate('document.body.dataset.mark'), 'the same document')
    assert.deepEqual(complaints, [])
  })

  it('shows tokens of a few seconds follow each other', async (test) => {
    const { sidecar } = await held(test, { tokenLifeMs: 2_500, validTillSpelling: 'fraction' })
    const { page } = await visit(test, sidecar.opsUrl)
    const seen = new Set<string>()
    while (seen.size < 3) {
      const shown = await textOf(page, '.fingerprint')
      seen.add(shown)
      await changes(page, '.fingerprint', shown)
    }
    assert.match(await textOf(page, '.life'), /Minted.*Refresh from.*Expires/s)
  })

  it('says by itself what has changed, and not that time goes by', async (test) => {
    const { sidecar } = await held(test)
    const { page } = await visit(test, sidecar.opsUrl)
    await isLive(page)
    const said = await noteTexts(page, '[role=status]')
    for (let second = 0; second < 3; second++)
      await changes(page, '#about time', await textOf(page, '#about time'))
    assert.deepEqual(await said(), ['Ready. Credential default: fresh, token number 1.'])
  })

  it('has nothing that axe finds fault with, and fits: light and dark, wide and narrow, well and unwell', async (test) => {
    const { sidecar } = await held(test)
    const unwell = await rejected(test)
    for (const [{ opsUrl }, viewport, colorScheme] of [
      [sidecar, WIDE, 'light'],
      [unwell, PHONE, 'light'],
      [unwell, WIDE, 'dark'],
      [sidecar, PHONE, 'dark'],
    ] as const) {
      const { page, axe } = await visit(test, opsUrl, { colorScheme, viewport, bypassCSP: true })
      await isLive(page)
      for (const summary of await page.locator('summary').all()) await summary.click()
      assert.deepEqual(await axe(), [], `${colorScheme}, ${viewport.width} px`)
      // Wide tables are moved sideways in themselves.
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), viewport.width)
    }
  })

  it('lets the keyboard reach everything there is to reach, and shows where it is', async (test) => {
    const sidecar = await rejected(test)
    const { page } = await visit(test, sidecar.opsUrl, { viewport: PHONE })
    await isLive(page)
    const all = await page.locator('a, summary, [tabindex="0"]:visible').count()
    const reached: string[] = []
    for (let presses = 0; presses < all; presses++) {
      await page.keyboard.press('Tab')
      const focused = page.locator(':focus')
      const name = await focused.evaluate(
        (one) => `${one.tagName} ${one.getAttribute('aria-label') ?? one.textContent}`,
      )
      const { outlineStyle, outlineWidth } = (await page.evaluate(
        '(({ outlineStyle, outlineWidth }) => ({ outlineStyle, outlineWidth }))(getComputedStyle(document.activeElement))',
      )) as { outlineStyle: string; outlineWidth: string }
      const isShown = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2
      assert.ok(isShown, name)
      reached.push(name)
    }
    assert.match(reached[0] ?? '', /^A Skip to/)
    assert.equal(new Set(reached).size, all)
    // What is folded opens by keyboard, and stays open while the page goes on.
    const summary = page.locator('details.problem summary').first()
    await summary.press('Enter')
    await changes(page, '#about time', await textOf(page, '#about time'))
    assert.equal(await page.locator('details.problem').first().getAttribute('open'), '')
    assert.ok(await summary.evaluate((element) => element.matches(':focus')), 'and keeps the focus')
  })

  it('does not move while figures change', async (test) => {
    const { sidecar } = await held(test)
    const { page } = await visit(test, sidecar.opsUrl, { viewport: WIDE })
    await isLive(page)
    const places = () =>
      page
        .locator('h1, h2, h3, h4, .chart')
        .evaluateAll((all) => all.map((one) => one.getBoundingClientRect().y))
    const before = await places()
    for (let call = 0; call < 200; call++) await (await fetch(`${sidecar.url}/echo`)).arrayBuffer()
    await changes(page, '#calls strong', '0')
    assert.deepEqual(await places(), before)
  })

  it('leaves out what moves for those who want it so', async (test) => {
    const { sidecar } = await held(test)
    for (const [reducedMotion, animation] of [
      ['reduce', 'none'],
      ['no-preference', 'new'],
    ] as const) {
      const { page } = await visit(test, sidecar.opsUrl, { reducedMotion })
      await sidecar.ask('/rotate', { method: 'POST', headers: { 'x-sidecar-request': '1' } })
      await page.locator('.fingerprint.new').waitFor()
      const used = await page.evaluate(
        "getComputedStyle(document.querySelector('.fingerprint')).animationName",
      )
      assert.equal(used, animation)
    }
  })

  it('says that it is cut off, and goes on when the sidecar is back', async (test) => {
    const { sidecar, settings } = await held(test)
    const { page } = await visit(test, sidecar.opsUrl)
    await isLive(page)
    await sidecar.kill()
    await page.getByText(/^Not connected since \d\d:\d\d:\d\d; trying again$/).waitFor()
    assert.match(await textOf(page, '[role=status]'), /lost/)
    const again = await startSidecar(test, { ...settings, OPS_LISTEN: new URL(sidecar.opsUrl).host })
    await again.ready()
    await isLive(page)
    await page.locator('[role=status]', { hasText: /^Ready/ }).waitFor()
    assert.equal(await textOf(page, '.fingerprint'), (await again.status()).credentials[0]?.fingerprint)
  })

  it('is loaded anew when the sidecar that comes back has another page', async (test) => {
    const { sidecar, settings } = await held(test)
    const { page } = await visit(test, sidecar.opsUrl)
    await isLive(page)
    await sidecar.kill()
    const routes = {
      ROUTES: 'gls',
      ROUTE_GLS_PREFIX: '/gls',
      ROUTE_GLS_CLIENT_SECRET: 'of-another-workspace',
    }
    await startSidecar(test, { ...settings, ...routes, OPS_LISTEN: new URL(sidecar.opsUrl).host })
    await page.locator('#credential-1').waitFor()
  })

  it('works without a script: all is there, and it is loaded anew by itself', async (test) => {
    const { sidecar } = await held(test)
    const { page, complaints } = await visit(test, sidecar.opsUrl, { javaScriptEnabled: false })
    assert.match(await textOf(page, '#hero'), /Ready/)
    assert.equal(await textOf(page, '.fingerprint'), (await sidecar.status()).credentials[0]?.fingerprint)
    await sidecar.ask('/rotate', { method: 'POST', headers: { 'x-sidecar-request': '1' } })
    await shows(page, 'token 2')
    assert.deepEqual(complaints, [])
  })

  it('goes on by itself when too many pages are open', async (test) => {
    const { sidecar } = await held(test)
    const left = new AbortController()
    const others = await Promise.all(
      Array.from({ length: 16 }, () => fetch(`${sidecar.opsUrl}/events`, { signal: left.signal })),
    )
    assert.ok(others.every(({ status }) => status === 200))
    const { page } = await visit(test, sidecar.opsUrl)
    await shows(page, 'Not connected; trying again')
    left.abort()
    await isLive(page)
  })
})

describe('the built status page', () => {
  it('carries its style and script, made smaller, and no token and no secret; so do its events', async (test) => {
    const tokens: string[] = []
    const upstream = createServer(({ headers }, response) => {
      tokens.push(String(headers['x-cleartax-auth-token']))
      response.end()
    }).listen(0, '127.0.0.1')
    test.after(() => upstream.close())
    await once(upstream, 'listening')
    const { port } = upstream.address() as AddressInfo
    const { sidecar } = await held(test, {}, { UPSTREAM_URL: `http://127.0.0.1:${port}` })
    await fetch(sidecar.url)
    const page = (await sidecar.ask('/')).text
    assert.match(page, /<style>:root\{/)
    assert.ok(Buffer.byteLength(page) < 40 * 1024, `${Buffer.byteLength(page)} bytes`)
    const events = await fetch(`${sidecar.opsUrl}/events`)
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader()
    let stream = ''
    while (!stream.includes('"errors"')) stream += (await reader?.read())?.value ?? ''
    await reader?.cancel()
    const [token = ''] = tokens
    assert.ok(token.length > 8)
    for (const text of [page, stream])
      for (const hidden of [token, DEMO_CLIENT.secret]) assert.ok(!text.includes(hidden))
  })
})

import type { CredentialStatus } from '../../token/status.ts'
import { type Html, html } from '../html.ts'
import { formatSpan } from '../time-span.ts'
import { distance, instant } from './figures.ts'

/** The life of the token held: minted, refresh window, end. Positions are shares of its life, so it needs no style. */
export function timeline(credential: CredentialStatus, now: number): Html {
  const { fingerprint, mintedAt, validTill, nextRefreshAt } = credential
  if (fingerprint === null || mintedAt === null) return empty()
  if (validTill === null) return unending(mintedAt, now)
  const share = (at: number) => percent((at - mintedAt) / Math.max(1, validTill - mintedAt))
  const refreshAt = nextRefreshAt ?? validTill
  return html`<div class="life">
<svg class="span" role="img" aria-label="${told(mintedAt, refreshAt, validTill, now)}"><rect class="track" width="100%" height="100%"/><rect class="window" x="${share(refreshAt)}" width="${percent((validTill - refreshAt) / Math.max(1, validTill - mintedAt))}" height="100%"/><rect class="lived" width="${share(now)}" height="100%"/><line class="now" x1="${share(now)}" x2="${share(now)}" y2="100%"/></svg>
<dl>
${moment('Minted', mintedAt, now)}
${moment('Refresh from', refreshAt, now)}
${moment('Expires', validTill, now)}
</dl>
</div>`
}

function empty(): Html {
  return html`<div class="life">
<svg class="span none" role="img" aria-label="No token yet"><rect class="track" width="100%" height="100%"/></svg>
<dl><div><dt>Token</dt><dd>none yet</dd></div></dl>
</div>`
}

function unending(mintedAt: number, now: number): Html {
  return html`<div class="life">
<svg class="span" role="img" aria-label="The token was minted ${distance(mintedAt, now)} and never expires"><rect class="track" width="100%" height="100%"/><rect class="lived" width="100%" height="100%"/><line class="now" x1="100%" x2="100%" y2="100%"/></svg>
<dl>
${moment('Minted', mintedAt, now)}
<div><dt>Expires</dt><dd>never<span>replaced when asked or scheduled</span></dd></div>
</dl>
</div>`
}

function moment(name: string, at: number, now: number): Html {
  return html`<div><dt>${name}</dt><dd>${instant(at, now)}<span>${distance(at, now)}</span></dd></div>`
}

function told(mintedAt: number, refreshAt: number, validTill: number, now: number): string {
  const life = formatSpan(Math.max(0, validTill - mintedAt))
  if (now >= validTill) return `A token of ${life} that has expired`
  const lived = Math.round(((now - mintedAt) / Math.max(1, validTill - mintedAt)) * 100)
  const window =
    now >= refreshAt ? 'its refresh window is open' : `refresh begins ${distance(refreshAt, now)}`
  return `A token of ${life}: ${Math.max(0, lived)} % of its life is over, ${window}`
}

function percent(share: number): string {
  return `${(Math.min(1, Math.max(0, share)) * 100).toFixed(1)}%`
}

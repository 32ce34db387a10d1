import { type Html, type HtmlValue, html } from '../html.ts'

/** The first cell of each row names the row. It scrolls in itself when it is too wide, by keyboard as well. */
export function table(
  label: string,
  heads: readonly string[],
  rows: readonly (readonly HtmlValue[])[],
  kind = 'plain',
): Html {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${label}"><table class="${kind}">
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first = null, ...rest]) => html`
<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}
</tbody>
</table></div>`
}

/** A few figures with their names. */
export function figures(pairs: readonly (readonly [string, HtmlValue])[]): Html {
  return html`<dl class="figures">${pairs.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`
}

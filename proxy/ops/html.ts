/** Text that is HTML already. Only `html` makes it, so whatever else is put into a page gets escaped. */
export class Html {
  readonly text: string

  /** Called by `html` alone. */
  constructor(text: string) {
    this.text = text
  }
}

/** What may stand in `${}`: text and numbers are escaped, null is nothing, lists are joined. */
export type HtmlValue = Html | string | number | null | readonly HtmlValue[]

/** Tag for templates: html`<td>${name}</td>` is safe in element content and in quoted attributes. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(
    strings.reduce((text, string, index) => `${text}${rendered(values[index - 1] ?? null)}${string}`),
  )
}

function rendered(value: HtmlValue): string {
  if (value === null) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(rendered).join('')
  return String(value).replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`)
}

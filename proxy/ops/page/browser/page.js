/**
 * Keeps the status page up to date: the sidecar sends the parts that have changed as HTML, and they are put in the place
 * of the old ones, node by node, so that focus, selection and what is unfolded stay.
 */

/** The sidecar sends each second. */
const SILENCE_MS = 5_000
const RETRY_MS = 5_000

const root = document.documentElement
let timer = 0
let heardAt = ''
let isLost = false

connect()

function connect() {
  const source = new EventSource('events')
  const lost = () => {
    tell(`Not connected${heardAt && ` since ${heardAt}`}; trying again`, true)
    // A refusal (too many pages are open) is the end for the browser, not for us.
    if (source.readyState !== EventSource.CLOSED) return
    source.close()
    later(RETRY_MS, connect)
  }
  source.addEventListener('error', lost)
  source.addEventListener('parts', ({ data }) => {
    const { edition, parts } = JSON.parse(data)
    if (edition !== root.dataset['edition']) return location.reload()
    for (const [id, html] of Object.entries(parts)) show(id, html)
    heardAt = document.querySelector('#about time')?.textContent ?? ''
    tell('Live', false)
    later(SILENCE_MS, () => {
      source.close()
      tell(`Not connected since ${heardAt}; trying again`, true)
      connect()
    })
  })
}

/**
 * One thing is waited for at a time.
 * @param {number} delayMs
 * @param {() => void} run
 */
function later(delayMs, run) {
  clearTimeout(timer)
  timer = setTimeout(run, delayMs)
}

/**
 * @param {string} text
 * @param {boolean} lost
 */
function tell(text, lost) {
  const place = document.getElementById('link')
  if (place === null || place.textContent === text) return
  place.textContent = text
  root.classList.toggle('lost', lost)
  const said = document.getElementById('announcement')
  // Said once; when the connection is back the next part replaces it.
  if (said !== null && lost && !isLost)
    said.textContent = 'The connection to the sidecar is lost; what is shown is old.'
  isLost = lost
}

/**
 * @param {string} id
 * @param {string} html
 */
function show(id, html) {
  const old = document.getElementById(id)
  const template = document.createElement('template')
  template.innerHTML = html
  const next = template.content.firstElementChild
  if (old !== null && next !== null) become(old, next)
}

/**
 * Makes a node the same as another, changing as little as possible.
 * @param {Node} node
 * @param {Node} next
 */
function become(node, next) {
  if (node instanceof Element && next instanceof Element && node.nodeName === next.nodeName) {
    // What the reader has unfolded stays so.
    for (const { name } of [...node.attributes])
      if (!next.hasAttribute(name) && name !== 'open') node.removeAttribute(name)
    for (const { name, value } of next.attributes)
      if (node.getAttribute(name) !== value) node.setAttribute(name, value)
    const children = [...next.childNodes]
    for (const [index, child] of children.entries()) {
      const own = counterpart(node, child, index)
      if (own === undefined) node.append(child)
      else become(own, child)
    }
    while (node.childNodes.length > children.length) node.lastChild?.remove()
  } else if (node instanceof Text && next instanceof Text) {
    if (node.data !== next.data) node.data = next.data
  } else node.parentNode?.replaceChild(next, node)
}

/**
 * The child to be changed into `child`: the one of the same id, moved to the same position; without an id the one that is there.
 * @param {Element} parent
 * @param {Node} child
 * @param {number} index
 * @returns {Node | undefined}
 */
function counterpart(parent, child, index) {
  const there = parent.childNodes[index]
  const id = child instanceof Element ? child.id : ''
  if (id === '' || (there instanceof Element && there.id === id)) return there
  const same = [...parent.children].find((own) => own.id === id)
  return parent.insertBefore(same ?? document.importNode(child, true), there ?? null)
}

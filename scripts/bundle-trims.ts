import type { Plugin } from 'esbuild'

/**
 * What packages bring along and this program has no use for, with what stands in for it in the bundle. Each was seen in a
 * start-up profile: together they are four fifths of the text that has to be read before the listeners open.
 */
const standIns: readonly { readonly package: RegExp; readonly why: string; readonly contents: string }[] = [
  {
    package: /^iconv-lite$/,
    why: 'half a megabyte of code pages for request bodies; the ops address reads UTF-8, as JSON is',
    contents: `
      const isUtf8 = (name) => /^utf-?8$/i.test(name)
      const decoder = (name) => {
        if (!isUtf8(name)) throw new Error('Encoding not recognized: ' + name)
        return new (require('node:string_decoder').StringDecoder)('utf8')
      }
      module.exports = {
        encodingExists: isUtf8,
        getDecoder: decoder,
        decode: (bytes, name) => { const d = decoder(name); return d.write(bytes) + d.end() },
      }`,
  },
  {
    package: /^mime-db$/,
    why: 'two and a half thousand media types; the ops address speaks these',
    contents: `
      const utf8 = (...extensions) => ({ source: 'iana', charset: 'UTF-8', compressible: true, extensions })
      module.exports = {
        'application/json': utf8('json', 'map'),
        'application/octet-stream': { source: 'iana', compressible: true, extensions: ['bin'] },
        'application/problem+json': { source: 'iana', compressible: true },
        'application/x-www-form-urlencoded': { source: 'iana', compressible: true },
        'image/svg+xml': { source: 'iana', compressible: true, extensions: ['svg', 'svgz'] },
        'text/css': utf8('css'),
        'text/event-stream': { source: 'iana', compressible: true },
        'text/html': utf8('html', 'htm', 'shtml'),
        'text/javascript': utf8('js', 'mjs'),
        'text/plain': utf8('txt', 'text', 'conf', 'def', 'list', 'log', 'in', 'ini'),
      }`,
  },
  {
    package: /^undici$/,
    why: 'fetch, WebSocket, caches and mocks; a mint is one request of one client',
    contents: `
      const Client = require('undici/lib/dispatcher/client')
      const Dispatcher = require('undici/lib/dispatcher/dispatcher')
      Dispatcher.prototype.request = require('undici/lib/api/api-request')
      const buildConnector = require('undici/lib/core/connect')
      module.exports = { Client, Dispatcher, buildConnector }`,
  },
  {
    package: /^\.\/client-h2(\.js)?$/,
    why: 'HTTP/2, which the mint’s client is not allowed',
    contents: "module.exports = () => { throw new Error('HTTP/2 is left out of this bundle') }",
  },
  {
    package: /^qs$/,
    why: 'nested objects in query strings; express 5 itself is content with these by default',
    contents: "module.exports = require('node:querystring')",
  },
  {
    package: /^node:crypto$/,
    why: 'an import of the module by name asks for all it exports, and so loads WebCrypto; require() does not',
    contents: "module.exports = require('crypto')",
  },
  {
    package: /^node:http$/,
    why: 'the same: its exports have had WebSocket since Node 22, and with it comes all of fetch',
    contents: "module.exports = require('http')",
  },
  {
    package: /^readable-stream(\/lib\/_stream_writable\.js)?$/,
    why: 'a copy of node:stream for older Nodes',
    contents: '',
  },
  {
    package: /^@dabh\/diagnostics$/,
    why: 'tracing of the logging library itself',
    contents: 'module.exports = () => Object.assign(() => false, { enabled: false })',
  },
  {
    package: /^@colors\/colors\/safe$/,
    why: 'colours for formats that are not used; ours are three escape codes',
    contents: 'module.exports = {}',
  },
]

/** Puts the stand-ins in the place of the packages. */
export const trims: Plugin = {
  name: 'trims',
  setup(build) {
    for (const standIn of standIns) {
      build.onResolve({ filter: standIn.package }, ({ path }) => ({
        path,
        namespace: 'trims',
        pluginData: path.startsWith('readable-stream')
          ? `module.exports = require('node:stream')${path.endsWith('_writable.js') ? '.Writable' : ''}`
          : standIn.contents,
      }))
    }
    build.onLoad({ filter: /./, namespace: 'trims' }, ({ pluginData }) => ({
      contents: pluginData as string,
      resolveDir: build.initialOptions.absWorkingDir ?? '.',
    }))
  },
}

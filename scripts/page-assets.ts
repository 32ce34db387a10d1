import { type Plugin, transform } from 'esbuild'
import { assets } from '../proxy/ops/page/assets.ts'

const TARGET = ['chrome109', 'firefox115', 'safari16']

/** Puts the text of the status page's style and script in the place of the module that reads them. */
export const pageAssets: Plugin = {
  name: 'page-assets',
  setup(build) {
    build.onLoad({ filter: /[\\/]ops[\\/]page[\\/]assets\.ts$/ }, async () => {
      const small = async (text: string, loader: 'css' | 'js') =>
        (await transform(text, { loader, minify: true, target: TARGET })).code.trim()
      const text = { style: await small(assets.style, 'css'), script: await small(assets.script, 'js') }
      return { contents: `export const assets = ${JSON.stringify(text)}`, loader: 'js' }
    })
  },
}

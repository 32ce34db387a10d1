/**
 * The WebAssembly build of llhttp that ships in undici, as bytes. CommonJS, because the module's only export is a Buffer:
 * imported from an ES module, esbuild copies its 55,000 elements as so many properties, which costs 20 MB and 50 ms.
 */
exports.read = () => require('undici/lib/llhttp/llhttp_simd-wasm.js')

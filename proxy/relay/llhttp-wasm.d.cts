/** The bytes of the WebAssembly build of llhttp. */
export declare function read(): Uint8Array

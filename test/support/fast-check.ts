import fc from 'fast-check'

/**
 * fast-check with the same runs each time, so that a test which passed passes again; what it prints of a failure says how to
 * repeat it. `FUZZ_SEED=random` looks at new ones, `FUZZ_SEED=<number>` at those of that seed.
 */
const wanted = process.env['FUZZ_SEED'] ?? '1'
export const SEED = wanted === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(wanted)

fc.configureGlobal({ seed: SEED })

export { fc }

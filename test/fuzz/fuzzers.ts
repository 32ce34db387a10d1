import { answers } from './answers.ts'
import { configuration } from './configuration.ts'
import { exchange } from './exchange.ts'
import { heads } from './heads.ts'
import { requests } from './requests.ts'
import { storeRecords } from './store-records.ts'
import type { Fuzzer } from './target.ts'
import { tokenAnswers } from './token-answers.ts'

/** All of them, cheap ones first. */
export const fuzzers: readonly Fuzzer[] = [
  configuration,
  tokenAnswers,
  storeRecords,
  heads,
  requests,
  answers,
  exchange,
]

/** Every parser of a setting's text. Pure and strict: a value or a sentence, never an exception, never a guess. */
export { baseUrl, hostList, httpUrl, listenAddress } from './parsers/addresses.ts'
export { callerKeys, clientSecret, headerName, tokenPrefix } from './parsers/header-fields.ts'
export type { Parsed, Parser } from './parsers/parsed.ts'
export { boolean, filePath, integer, oneOf } from './parsers/plain.ts'
export { duration, formatDuration, LONGEST_DURATION_MS, size } from './parsers/quantities.ts'
export { allowRules, pathPrefix, routeNames, statusList } from './parsers/routing.ts'
export { cronExpression } from './parsers/schedule.ts'
export { type StoreLocation, storeLocation } from './parsers/store-location.ts'

import { CALLER_KEY_HEADER } from './admission.ts'
import { FieldTable } from './field-table.ts'

export const HOST = 1
export const CONNECTION = 2
export const HOP_BY_HOP = 3
export const UPGRADE = 4
export const EXPECT = 5
export const TRANSFER_ENCODING = 6
export const CONTENT_LENGTH = 7
export const ORIGIN = 8
export const SEC_FETCH_SITE = 9
export const CALLER_KEY = 10
export const FORBIDDEN = 11
export const OVERRIDE = 12

/** What a field means to the relay. */
export type Kind = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12

export type RequestFields = FieldTable<Kind>

/** Frameworks (Rails, Laravel, Symfony, IIS) take method or path from these. */
const OVERRIDES: readonly (readonly [string, Kind])[] = [
  ['x-http-method', OVERRIDE],
  ['x-http-method-override', OVERRIDE],
  ['x-method-override', OVERRIDE],
  ['x-original-url', OVERRIDE],
  ['x-rewrite-url', OVERRIDE],
]

/**
 * The names that matter in requests; `forbidden` (lower case) never pass, however they are spelled. Where no route
 * `hasAllowList`, overrides of method and path are fields like any other.
 */
export function requestFields(forbidden: readonly string[], hasAllowList = false): RequestFields {
  return new FieldTable<Kind>(
    [
      ['host', HOST],
      ['connection', CONNECTION],
      ['keep-alive', HOP_BY_HOP],
      ['proxy-connection', HOP_BY_HOP],
      ['proxy-authorization', HOP_BY_HOP],
      ['proxy-authenticate', HOP_BY_HOP],
      // Request trailers are not passed on, so neither is their announcement.
      ['trailer', HOP_BY_HOP],
      ['upgrade', UPGRADE],
      // What it asks for, trailers, may arrive without it.
      ['te', HOP_BY_HOP],
      ['expect', EXPECT],
      ['transfer-encoding', TRANSFER_ENCODING],
      ['content-length', CONTENT_LENGTH],
      ['origin', ORIGIN],
      ['sec-fetch-site', SEC_FETCH_SITE],
      [CALLER_KEY_HEADER, CALLER_KEY],
      ...(hasAllowList ? OVERRIDES : []),
    ],
    forbidden,
    FORBIDDEN,
  )
}

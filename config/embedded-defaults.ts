/** Where an embedded sidecar's defaults differ from the program's: who embeds is told the addresses, and may want two. */
export const embeddedDefaults = {
  LISTEN: '127.0.0.1:0',
  OPS_LISTEN: '127.0.0.1:0',
} as const

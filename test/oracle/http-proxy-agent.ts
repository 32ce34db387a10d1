import http from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import type { TlsFiles } from '../../proxy/lib/tls.ts'
import { tlsOptions } from '../../proxy/lib/tls.ts'
import type { TrafficCounters } from '../../proxy/relay/counters.ts'

/** Idle connections are closed by us before the usual 60 s of load balancers, or a call could meet a closing one. */
const IDLE_TIMEOUT_MS = 50_000

/** The connections to all upstreams of one forwarder. */
export interface UpstreamConnections {
  /** For `pooled`, an agent that keeps connections and hands out the one used last; else one that opens a new one for each call. */
  agent(upstream: URL, pooled: boolean): http.Agent
  /** To be told of the connection a call was given, so that the counters stay exact. */
  claim(socket: Duplex): void
  /** Cuts every connection. */
  close(): void
}

/** Connections as `tls` says where the upstream is https: certificates are always verified. */
export function createUpstreamConnections(tls: TlsFiles, counters: TrafficCounters): UpstreamConnections {
  const idle = new Map<Duplex, () => void>()
  const active = new Set<Duplex>()
  // Said outright, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise decide.
  const secure = { ...tlsOptions(tls), rejectUnauthorized: true }
  const pool = { keepAlive: true, scheduling: 'lifo', timeout: IDLE_TIMEOUT_MS } as const
  const agents = {
    'http:': { pooled: watched(new http.Agent(pool)), fresh: new http.Agent() },
    'https:': { pooled: watched(new https.Agent({ ...pool, ...secure })), fresh: new https.Agent(secure) },
  }

  return {
    agent(upstream, pooled) {
      const pair = upstream.protocol === 'https:' ? agents['https:'] : agents['http:']
      return pooled ? pair.pooled : pair.fresh
    },
    claim(socket) {
      const known = idle.delete(socket) || active.has(socket)
      active.add(socket)
      if (!known) socket.once('close', forget)
      count()
    },
    close() {
      for (const { pooled, fresh } of Object.values(agents)) {
        pooled.destroy()
        fresh.destroy()
      }
      for (const socket of [...active, ...idle.keys()]) socket.destroy()
    },
  }

  /** Bytes nobody asked for would be read as the answer to the next call: a connection that brings some while idle is cut. */
  function watched(agent: http.Agent): http.Agent {
    const { keepSocketAlive, reuseSocket } = http.Agent.prototype
    agent.keepSocketAlive = (socket) => {
      // Typed as void, documented to return whether the connection may be kept.
      const keep = keepSocketAlive.call(agent, socket) as unknown as boolean
      if (!keep || !active.delete(socket)) return keep
      const onData = () => socket.destroy()
      socket.on('data', onData)
      idle.set(socket, onData)
      count()
      return keep
    }
    agent.reuseSocket = (socket, request) => {
      const onData = idle.get(socket)
      if (onData !== undefined) socket.removeListener('data', onData)
      reuseSocket.call(agent, socket, request)
    }
    return agent
  }

  function forget(this: Duplex): void {
    idle.delete(this)
    active.delete(this)
    count()
  }

  function count(): void {
    counters.upstreamActive = active.size
    counters.upstreamIdle = idle.size
  }
}

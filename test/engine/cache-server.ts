/**
 * A server for the HTTP cache protocol, in memory, whose answers a test can spoil; and a real nginx with WebDAV. Both on loopback. What was
 * asked is kept: `GET cas`, `PUT ac` ...
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcp } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './rig.js'

/** true: it has answered, or never will. */
type Spoil = (request: IncomingMessage, response: ServerResponse, path: string) => boolean

export interface CacheServer {
  readonly url: string
  /** `ac/<key>` and `cas/<digest>` -> bytes. */
  readonly files: Map<string, Buffer>
  readonly asked: { method: string; path: string; authorization: string | undefined }[]
  spoil: Spoil
  /** How often since the last look: `GET ac`. */
  count(method: string, kind: 'ac' | 'cas'): number
}

export async function cacheServer(): Promise<CacheServer> {
  const files = new Map<string, Buffer>()
  const asked: CacheServer['asked'] = []
  const server = createServer((request, response) => {
    const path = request.url!.slice(1)
    const { method = '' } = request
    asked.push({ method, path, authorization: request.headers.authorization })
    if (self.spoil(request, response, path)) return
    if (method === 'GET') {
      const file = files.get(path)
      response.writeHead(file ? 200 : 404).end(file)
    } else {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        const body = Buffer.concat(parts)
        // As bazel-remote does: an object that is not what its name says is refused.
        if (path.startsWith('cas/') && createHash('sha256').update(body).digest('hex') !== path.slice(4))
          return void response.writeHead(400).end()
        files.set(path, body)
        response.writeHead(200).end()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const self: CacheServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    asked,
    spoil: () => false,
    count: (method, kind) => asked.filter((one) => one.method === method && one.path.startsWith(`${kind}/`)).length,
  }
  return self
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createTcp()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export const nginxProgram = ((): string | undefined => {
  for (const path of ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'])
    try {
      execFileSync(path, ['-v'], { stdio: 'ignore' })
      return path
    } catch {
      // The next.
    }
  return undefined
})()

/** As docs/store.md tells users to set it up. */
export async function nginx({ most = '0' }: { most?: string } = {}): Promise<{ url: string; folder: string }> {
  const root = temporaryFolder()
  const folder = join(root, 'files')
  for (const name of ['files', 'body']) mkdirSync(join(root, name))
  const port = await freePort()
  writeFileSync(
    join(root, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid ${root}/pid; error_log ${root}/error.log;
events {}
http {
  access_log off; client_body_temp_path ${root}/body; proxy_temp_path ${root}/p; fastcgi_temp_path ${root}/f;
  uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s;
  server {
    listen 127.0.0.1:${port};
    root ${folder};
    client_max_body_size ${most};
    location ~ ^/(ac|cas)/[0-9a-f]+$ { dav_methods PUT; create_full_put_path on; }
  }
}
`,
  )
  const child: ChildProcess = spawn(nginxProgram!, ['-p', root, '-c', join(root, 'nginx.conf')], { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGTERM'))
  for (let tries = 0; tries < 200 && !(await listens(port)); tries++) await new Promise((go) => setTimeout(go, 25))
  return { url: `http://127.0.0.1:${port}`, folder }
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

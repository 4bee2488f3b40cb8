// The peer: npm's oidc-provider with everything in memory. `node auth_peer.mjs FOLDER PORT`
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { generateKeyPairSync } from 'node:crypto'

const [folder, port] = process.argv.slice(2)
const require = createRequire(`${folder}/package.json`)
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')))
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const audience = `http://127.0.0.1:${port}`

const provider = new Provider(audience, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'peer' }] },
  scopes: ['threads:read'],
  clients: [
    {
      client_id: 'service',
      client_secret: 'peer-secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'threads:read',
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope: 'threads:read',
        audience,
        accessTokenTTL: 600,
        accessTokenFormat: process.env.PEER_TOKENS,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})
provider.listen(Number(port), '127.0.0.1')

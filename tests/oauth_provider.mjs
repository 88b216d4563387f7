// An authorization server (oidc-provider, from npm) and an MCP server that takes its tokens, both on loopback.
//
// node oauth_provider.mjs PATH_OF_OIDC_PROVIDER LOG LIFETIME
//
// Prints {"issuer", "mcp"} once both listen. Appends each request to LOG, one JSON object a line, with its headers and body.

import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [library, log, lifetime] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(library));

// As most middleware does; the log needs it too.
async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function note(who, request, body) {
  const { method, url, headers } = request;
  appendFileSync(log, `${JSON.stringify({ who, method, url, headers, body })}\n`);
}

function listen(handler) {
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      handler(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

let provider;
let callback;
const issuer = await listen(async (request, response) => {
  const path = request.url.split('?')[0];
  if (path.startsWith('/interaction/')) {
    note('issuer', request, '');
    return consent(request, response);
  }
  const body = await bodyOf(request);
  note('issuer', request, body);
  request.body = body; // oidc-provider reads what was read already
  return callback(request, response);
});
const mcp = await listen(resource);
const RESOURCE = `${mcp}/mcp`;

provider = new Provider(issuer, {
  clients: [{
    client_id: 'by-hand', client_secret: 'canary secret/of+the:client', application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback'], grant_types: ['authorization_code', 'refresh_token'],
  }],
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  cookies: { keys: ['test'] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  rotateRefreshToken: true,
  ttl: { AccessToken: Number(lifetime), RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600 },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'read write', audience: RESOURCE, accessTokenFormat: 'opaque', accessTokenTTL: Number(lifetime),
      }),
    },
  },
});
callback = provider.callback();

// The user agrees to everything at once.
async function consent(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'user' } }, { mergeWithLastSubmission: false });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? '');
  grant.addResourceScope(params.resource, params.scope ?? '');
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

// Access tokens that are refused from now on.
const seen = new Set();
const voided = new Set();

const TOOLS = ['echo', 'write'].map((name) => ({ name, description: name, inputSchema: { type: 'object' } }));

async function resource(request, response) {
  const body = await bodyOf(request);
  note('mcp', request, body);
  const json = (status, value, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
  };
  if (request.url === '/.well-known/oauth-protected-resource/mcp') {
    return json(200, { resource: RESOURCE, authorization_servers: [issuer], scopes_supported: ['read'] });
  }
  if (request.url === '/void') {
    for (const token of seen) voided.add(token);
    return json(200, {});
  }
  if (request.url !== '/mcp') return json(404, {});
  const metadata = `resource_metadata="${mcp}/.well-known/oauth-protected-resource/mcp"`;
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (given) seen.add(given);
  const token = given && !voided.has(given) && await provider.AccessToken.find(given);
  if (!token || token.aud !== RESOURCE) {
    return json(401, { error: 'invalid_token' }, { 'www-authenticate': `Bearer scope="read", ${metadata}` });
  }
  if (request.method !== 'POST') return json(405, {});
  const { id, method, params } = JSON.parse(body);
  if (id === undefined) return response.writeHead(202).end();
  const answer = (result) => json(200, { jsonrpc: '2.0', id, result });
  switch (method) {
    case 'initialize':
      return answer({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'guarded', version: '1' } });
    case 'tools/list': return answer({ tools: TOOLS });
    case 'ping': return answer({});
    case 'tools/call':
      if (params.name === 'write' && !token.scopes.has('write')) {
        const challenge = `Bearer error="insufficient_scope", scope="write", ${metadata}`;
        return json(403, { error: 'insufficient_scope' }, { 'www-authenticate': challenge });
      }
      return answer({ content: [{ type: 'text', text: `${params.name} done` }] });
    default: return json(200, { jsonrpc: '2.0', id, error: { code: -32601, message: 'no such method' } });
  }
}

console.log(JSON.stringify({ issuer, mcp: RESOURCE }));

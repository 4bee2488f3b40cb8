// The flows of oauth4webapi, a certified client, which checks every answer by the letter of the RFCs.
import * as oauth from "oauth4webapi";
import { approve, failure, open, run, told } from "./talk.mjs";

const plain = { [oauth.allowInsecureRequests]: true }; // this machine's own, over http
const issuer = new URL(told.issuer);
const client = { client_id: told.client_id };

async function discovered(algorithm = "oauth2") {
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...plain });
  return oauth.processDiscoveryResponse(issuer, response);
}

async function authentication() {
  if (told.method === "private_key_jwt") {
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("jwk", told.private_key, algorithm, false, ["sign"]);
    return oauth.PrivateKeyJwt({ key, kid: told.private_key.kid });
  }
  if (told.method === "client_secret_post") return oauth.ClientSecretPost(told.client_secret);
  return told.client_secret ? oauth.ClientSecretBasic(told.client_secret) : oauth.None();
}

function bearing(token) {
  return new Request(told.issuer, { headers: { authorization: `Bearer ${token}` } });
}

function valid(as, token, audience = told.issuer) {
  return oauth.validateJwtAccessToken(as, bearing(token), audience, plain);
}

async function signIn(as, who, auth, scope) {
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const asked = new URL(as.authorization_endpoint);
  asked.search = new URLSearchParams({
    client_id: who.client_id,
    redirect_uri: told.redirect_uri,
    response_type: "code",
    scope,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    max_age: "600",
  });
  const back = await open(asked);
  const answer = oauth.validateAuthResponse(as, who, back, state);
  const redeemed = await oauth.authorizationCodeGrantRequest(
    as, who, auth, answer, told.redirect_uri, verifier, plain,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(as, who, redeemed, {
    expectedNonce: nonce,
    maxAge: 600,
    requireIdToken: true,
  });
  const keys = await oauth.validateApplicationLevelSignature(as, redeemed, plain);
  return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), back: String(back), keys };
}

async function introspected(as, auth, token) {
  const response = await oauth.introspectionRequest(as, client, auth, token, plain);
  return oauth.processIntrospectionResponse(as, client, response);
}

async function refreshed(as, auth, token) {
  const response = await oauth.refreshTokenGrantRequest(as, client, auth, token, plain);
  return oauth.processRefreshTokenResponse(as, client, response);
}

await run({
  async discovery() {
    const resources = {};
    for (const resource of [told.issuer, `${told.issuer}/mcp`]) {
      const response = await oauth.resourceDiscoveryRequest(new URL(resource), plain);
      resources[resource] = await oauth.processResourceDiscoveryResponse(new URL(resource), response);
    }
    return { oauth2: await discovered("oauth2"), oidc: await discovered("oidc"), resources };
  },

  async code() {
    const [as, auth] = [await discovered("oidc"), await authentication()];
    const { tokens, claims, back } = await signIn(as, client, auth, "openid email profile threads:read offline_access");
    const info = await oauth.processUserInfoResponse(
      as, client, claims.sub, await oauth.userInfoRequest(as, client, tokens.access_token, plain),
    );
    const access = await valid(as, tokens.access_token);
    const before = await introspected(as, auth, tokens.access_token);
    const next = await refreshed(as, auth, tokens.refresh_token);
    const revoked = await oauth.revocationRequest(as, client, auth, next.refresh_token, plain);
    await oauth.processRevocationResponse(revoked);
    return {
      back, claims, info, access, before, tokens, next,
      after: await introspected(as, auth, next.access_token),
      again: await failure(refreshed(as, auth, next.refresh_token)),
      garbage: await introspected(as, auth, "nonsense"),
      elsewhere: await failure(valid(as, tokens.access_token, "https://other.example.org")),
      identityAsAccess: await failure(valid(as, tokens.id_token, told.client_id)),
    };
  },

  async credentials() {
    const [as, auth] = [await discovered(), await authentication()];
    const parameters = { scope: "threads:read", ...(told.resource ? { resource: told.resource } : {}) };
    const response = await oauth.clientCredentialsGrantRequest(as, client, auth, parameters, plain);
    const tokens = await oauth.processClientCredentialsResponse(as, client, response);
    return { tokens, access: await valid(as, tokens.access_token, told.resource ?? told.issuer) };
  },

  async device() {
    const [as, auth] = [await discovered(), await authentication()];
    const asked = await oauth.deviceAuthorizationRequest(as, client, auth, { scope: "openid threads:read" }, plain);
    const device = await oauth.processDeviceAuthorizationResponse(as, client, asked);
    const poll = async () =>
      oauth.processDeviceCodeResponse(
        as, client, await oauth.deviceCodeGrantRequest(as, client, auth, device.device_code, plain),
      );
    const early = await failure(poll());
    await approve(told.complete ? device.verification_uri_complete : device.verification_uri, device.user_code);
    await new Promise((done) => setTimeout(done, device.interval * 1000 + 200));
    const tokens = await poll();
    return { device, early, tokens, access: await valid(as, tokens.access_token), again: await failure(poll()) };
  },

  async registration() {
    const as = await discovered();
    const metadata = {
      client_name: "Registered by itself",
      redirect_uris: [told.redirect_uri],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "client_secret_basic",
      scope: "openid threads:read offline_access",
    };
    const register = async (initialAccessToken) =>
      oauth.processDynamicClientRegistrationResponse(
        await oauth.dynamicClientRegistrationRequest(as, metadata, { initialAccessToken, ...plain }),
      );
    const made = await register(told.initial_token);
    const { tokens } = await signIn(as, made, oauth.ClientSecretBasic(made.client_secret), metadata.scope);
    return { made, tokens, refused: await failure(register("wrong")), closed: await failure(register(undefined)) };
  },
});

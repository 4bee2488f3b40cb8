// The flows of openid-client, which most Node applications sign people in with.
import * as openid from "openid-client";
import { approve, failure, open, run, told } from "./talk.mjs";

const options = { execute: [openid.allowInsecureRequests] };

function configured(algorithm = "oidc") {
  const auth = told.client_secret ? openid.ClientSecretBasic(told.client_secret) : openid.None();
  return openid.discovery(new URL(told.issuer), told.client_id, undefined, auth, { algorithm, ...options });
}

await run({
  async code() {
    const config = await configured();
    const [verifier, state, nonce] = [
      openid.randomPKCECodeVerifier(), openid.randomState(), openid.randomNonce(),
    ];
    const back = await open(
      openid.buildAuthorizationUrl(config, {
        redirect_uri: told.redirect_uri,
        scope: "openid email threads:read offline_access",
        code_challenge: await openid.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
        nonce,
      }),
    );
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
    const tokens = await openid.authorizationCodeGrant(config, back, checks);
    const claims = tokens.claims();
    const info = await openid.fetchUserInfo(config, tokens.access_token, claims.sub);
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token);
    const threads = new URL(`${told.issuer}/api/v1/threads`);
    const read = await openid.fetchProtectedResource(config, next.access_token, threads, "GET");
    const write = await failure(openid.fetchProtectedResource(config, next.access_token, threads, "POST", "{}"));
    await openid.tokenRevocation(config, next.refresh_token);
    const after = await failure(openid.fetchUserInfo(config, next.access_token, claims.sub));
    return { claims, info, tokens, next, read: read.status, write, after };
  },

  async credentials() {
    const config = await configured("oauth2");
    const tokens = await openid.clientCredentialsGrant(config, { scope: "threads:read", resource: told.issuer });
    return {
      tokens,
      introspection: await openid.tokenIntrospection(config, tokens.access_token),
      wider: await failure(openid.clientCredentialsGrant(config, { scope: "users:admin" })),
    };
  },

  async device() {
    const config = await configured();
    const device = await openid.initiateDeviceAuthorization(config, { scope: "openid threads:read" });
    const polling = openid.pollDeviceAuthorizationGrant(config, { ...device, interval: device.interval });
    await approve(device.verification_uri, device.user_code);
    const tokens = await polling;
    return { device, tokens, claims: tokens.claims() };
  },

  async denied() {
    const config = await configured();
    const device = await openid.initiateDeviceAuthorization(config, { scope: "openid threads:read" });
    const polling = failure(openid.pollDeviceAuthorizationGrant(config, device));
    await approve(device.verification_uri_complete, device.user_code);
    return { device, outcome: await polling };
  },
});

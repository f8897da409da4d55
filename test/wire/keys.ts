// Keys for tests of the wire: made by openssl as those of hosts are, once a process.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeKey } from '../../src/keys/make-key.js';
import { parseCertificate } from '../../src/wire/certificate.js';
import type { Credentials, Security } from '../../src/wire/secure.js';

/** A host's key, trusting nobody. */
export async function keyOf(host: string): Promise<Credentials> {
  const folder = await mkdtemp(path.join(tmpdir(), 'trmig-key-'));
  try {
    const { privateKey, certificate } = await makeKey(host, folder);
    return { privateKey, certificate: parseCertificate(certificate, host), trusted: [] };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `own`, trusting the others. */
export function trusting(own: Credentials, ...others: Credentials[]): Credentials {
  return { ...own, trusted: others.map(({ certificate }) => ({ name: certificate.host, certificate })) };
}

/** Encrypted on loopback too. */
export function encrypted(credentials: Credentials, nowMs: () => number = Date.now): Security {
  return { plaintext: false, credentials: () => Promise.resolve(credentials), nowMs };
}

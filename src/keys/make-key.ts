// Makes a host's key and the certificate that goes with it. Node makes keys but writes no certificates; openssl does, is in
// Debian, and is needed only here, which is worth more than a library of ASN.1 in every process.
// Invariant: the private key is never in a file that others may read, nor on a command line.
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import { keyDays, opensslMsMax } from '../limits.js';

// openssl's own configuration, which hosts may have changed, would make it the certificate of an authority.
const configuration = `[req]
distinguished_name = name
x509_extensions = extensions
[name]
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
`;

/** The longest common name that X.509 allows. */
const nameCharsMax = 64;

/**
 * A new key and its certificate, both PEM.
 * @param host what the certificate calls the host
 * @param folder only its owner may read it; something is put there for a moment
 * @throws TrmigError E_KEYS when openssl is not there or fails
 */
export async function makeKey(host: string, folder: string): Promise<{ privateKey: string; certificate: string }> {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const place = await mkdtemp(path.join(folder, '.new-'));
  try {
    const [key, config] = [path.join(place, 'key.pem'), path.join(place, 'openssl.cnf')];
    await writeFile(key, privateKey, { mode: 0o600 });
    await writeFile(config, configuration);
    const subject = `/CN=${host.replace(/[^\w.-]/g, '-').slice(0, nameCharsMax)}`;
    const wanted = ['-new', '-x509', '-sha256', '-days', String(keyDays), '-subj', subject];
    return { privateKey, certificate: await openssl(['req', '-config', config, '-key', key, ...wanted]) };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

function openssl(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('openssl', args, { timeout: opensslMsMax }, (cause, stdout, stderr) => {
      if (cause === null) {
        resolve(stdout);
        return;
      }
      const missing = cause.code === 'ENOENT';
      const why = missing ? 'there is no openssl' : stderr.trim().split('\n').at(-1) || cause.message;
      const hint = missing ? { hint: 'Install openssl: apt-get install openssl' } : {};
      reject(new TrmigError('E_KEYS', `the certificate was not made: ${why}`, { cause, ...hint }));
    });
  });
}

// A host's certificate: its public key, a name for people, and a date on which it ends. Nobody signs it but the host itself:
// what makes it good is that the other host has it (pinning), by the digest of all of it.
// Invariant: the name in a certificate is what its maker wrote there. It decides nothing.

import { X509Certificate } from 'node:crypto';
import { TrmigError } from '../errors.js';
import { certificateBytesMax } from '../limits.js';

export interface Certificate {
  /** SHA-256 of the certificate, in pairs of hex digits, as openssl prints it. */
  readonly fingerprint: string;
  /** The common name: what the host that made it calls itself; '' when there is none. */
  readonly host: string;
  readonly pem: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/;

/**
 * The first certificate in a text; a private key beside it is left alone.
 * @param source what to call the text in an error
 * @throws TrmigError E_KEYS
 */
export function parseCertificate(text: string, source: string): Certificate {
  const pem = text.length > certificateBytesMax ? undefined : pemBlock.exec(text)?.[0];
  if (pem === undefined) {
    throw new TrmigError('E_KEYS', `${source} holds no certificate`, {
      hint: 'Give what `trmig keys show` prints on the other host.',
      facts: { source },
    });
  }
  try {
    return certificateOf(new X509Certificate(pem));
  } catch (cause) {
    throw new TrmigError('E_KEYS', `${source} holds a damaged certificate: ${(cause as Error).message}`, { cause });
  }
}

/** What matters here of a certificate. @throws RangeError when it has no end */
export function certificateOf(certificate: X509Certificate): Certificate {
  const expiresMs = Date.parse(certificate.validTo);
  if (Number.isNaN(expiresMs)) throw new RangeError(`it ends on '${certificate.validTo}', which is no date`);
  return {
    fingerprint: certificate.fingerprint256,
    host: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
    pem: `${certificate.toString().trim()}\n`,
    expiresMs,
  };
}

/** "2028-11-27" */
export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

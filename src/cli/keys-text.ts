// Certificates as people read them, and as programs do.
import { dayOf, type Certificate, type TrustedHost } from '../index.js';
import { pairLines } from './table.js';

/** A certificate's facts for `--json`. */
export function certificateFacts({ host, fingerprint, pem, expiresMs }: Certificate): object {
  return { host, fingerprint, expires: new Date(expiresMs).toISOString(), certificate: pem };
}

export const trustedFacts = ({ name, certificate }: TrustedHost): object => ({
  name,
  ...certificateFacts(certificate),
});

/** What to compare on the other host, and until when it counts. */
export function certificateLines({ host, fingerprint, expiresMs }: Certificate): string[] {
  return pairLines([
    ['host', host],
    ['SHA-256', fingerprint],
    ['expires', dayOf(expiresMs)],
  ]);
}

// Whether this host can prove who it is. Machines that stay here need no key.
import { asTrmigError } from '../errors.js';
import { keyWarnDays } from '../limits.js';
import { KeyRing } from '../keys/index.js';
import { dayOf, type Certificate } from '../wire/index.js';
import { fail, ok, warn, type CheckContext, type Finding } from './finding.js';

const dayMs = 86_400_000;

export async function checkKeys({ home }: CheckContext, nowMs: number = Date.now()): Promise<Finding> {
  try {
    const ring = new KeyRing(home);
    const own = await ring.certificate();
    if (own === null) {
      return warn('keys', 'this host has no key: nothing can be moved to or from other hosts', 'Run: trmig keys init');
    }
    const trusted = await ring.trusted();
    const old = (one: Certificate): boolean => one.expiresMs <= nowMs + keyWarnDays * dayMs;
    const again =
      'trmig keys init --renew, then hand it over again: trmig keys show | ssh OTHER trmig keys trust - --replace';
    if (old(own)) return warn('keys', `this host's key ${until(own, nowMs)}`, `Run: ${again}`);
    const ending = trusted.filter(({ certificate }) => old(certificate));
    if (ending.length > 0) {
      const list = ending.map(({ name, certificate }) => `that of ${name} ${until(certificate, nowMs)}`).join(', ');
      return warn('keys', `a trusted key ends: ${list}`, `Run on that host: ${again}`);
    }
    return ok('keys', `a key until ${dayOf(own.expiresMs)}; other hosts trusted: ${trusted.length}`);
  } catch (thrown) {
    const { message, hint } = asTrmigError(thrown);
    return fail('keys', message, hint);
  }
}

function until({ expiresMs }: Certificate, nowMs: number): string {
  return expiresMs <= nowMs ? `has expired on ${dayOf(expiresMs)}` : `expires on ${dayOf(expiresMs)}`;
}

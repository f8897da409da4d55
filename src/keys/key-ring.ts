// This host's key and the certificates of the hosts it trusts, as files that a person can look at:
//   host.pem             the private key, then its certificate; mode 0600
//   trusted/<name>.pem   a certificate
//
// Invariants: a key and its certificate are one file, so that they always belong together; a private key that others may read
// is refused; a name stands for one certificate until a person says otherwise.
import { readFile, readdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import { trustedHostsMax } from '../limits.js';
import { durable } from '../machine/durable.js';
import { checkName, machineNamePattern, type Home } from '../machine/home.js';
import { parseCertificate, type Certificate } from '../wire/certificate.js';
import type { Credentials, Security, TrustedHost } from '../wire/secure.js';
import { makeKey } from './make-key.js';

const suffix = '.pem';

/** The keys of one state directory. */
export class KeyRing {
  readonly #own: string;
  readonly #trusted: string;

  constructor(private readonly home: Home) {
    this.#own = path.join(home.keys, `host${suffix}`);
    this.#trusted = path.join(home.keys, 'trusted');
  }

  /** How connections of this host are kept from others. @param plaintext as in Security */
  security(plaintext?: boolean): Security {
    return { plaintext, credentials: () => this.credentials() };
  }

  /** @throws TrmigError E_KEYS_MISSING, E_KEYS, E_HOME */
  async credentials(): Promise<Credentials> {
    const privateKey = await this.#readOwn();
    if (privateKey === null) throw new TrmigError('E_KEYS_MISSING', `this host has no key in ${this.home.keys}`);
    const certificate = parseCertificate(privateKey, this.#own);
    return { privateKey, certificate, trusted: await this.trusted() };
  }

  /** This host's certificate; null when it has no key yet. @throws TrmigError E_KEYS */
  async certificate(): Promise<Certificate | null> {
    const text = await this.#readOwn();
    return text === null ? null : parseCertificate(text, this.#own);
  }

  /**
   * Makes this host's key.
   * @param options.renew also when it has one: the hosts that trust that one must then be given the new certificate
   * @throws TrmigError E_KEYS, E_HOME
   */
  async init(options: { readonly renew: boolean }): Promise<Certificate> {
    if (!options.renew && (await this.#readOwn()) !== null) {
      throw new TrmigError('E_KEYS', `this host has a key already: ${this.#own}`, {
        hint: 'Show it with: trmig keys show; replace it with: trmig keys init --renew',
        facts: { path: this.#own },
      });
    }
    await this.home.make(this.home.keys);
    const { privateKey, certificate } = await makeKey(hostname(), this.home.keys);
    const made = parseCertificate(certificate, 'openssl');
    await write(this.#own, privateKey + made.pem);
    return made;
  }

  /** Sorted by name. @throws TrmigError E_KEYS */
  async trusted(): Promise<TrustedHost[]> {
    const files = await found(this.#trusted, () => readdir(this.#trusted));
    const names = (files ?? [])
      .filter((file) => file.endsWith(suffix))
      .map((file) => file.slice(0, -suffix.length))
      .filter((name) => machineNamePattern.test(name));
    return Promise.all(names.sort().map((name) => this.#readTrusted(name)));
  }

  /**
   * Trusts the host whose certificate `text` is. Doing so twice is doing it once.
   * @param options.name what the host is called here; what its certificate says when left out
   * @param options.replace also when another certificate has that name
   * @throws TrmigError E_KEYS, E_MACHINE_NAME, E_HOME
   */
  async trust(
    text: string,
    options: { readonly source: string; readonly name?: string | undefined; readonly replace: boolean },
  ): Promise<TrustedHost> {
    const certificate = parseCertificate(text, options.source);
    const name = checkName(options.name ?? certificate.host.toLowerCase());
    const all = await this.trusted();
    const namesake = all.find((one) => one.name === name);
    if (namesake?.certificate.fingerprint === certificate.fingerprint) return namesake;
    if (namesake !== undefined && !options.replace) {
      throw new TrmigError('E_KEYS', `another certificate is trusted as '${name}'`, {
        hint: 'Say --replace if this one takes its place, or --name for another host.',
        facts: { name, fingerprint: namesake.certificate.fingerprint },
      });
    }
    if (all.length >= trustedHostsMax) {
      throw new TrmigError('E_KEYS', `this host trusts ${all.length} others, and no more are kept`, {
        hint: 'See them with trmig keys ls; remove one with trmig keys forget NAME.',
      });
    }
    await this.home.make(this.#trusted);
    await write(this.#fileOf(name), certificate.pem);
    return { name, certificate };
  }

  /** Trusts a host no more: from the next connection on. @throws TrmigError E_KEYS, E_MACHINE_NAME */
  async forget(name: string): Promise<TrustedHost> {
    const all = await this.trusted();
    const known = all.find((one) => one.name === checkName(name));
    if (known === undefined) {
      throw new TrmigError('E_KEYS', `no host is trusted as '${name}'`, { hint: 'See all with: trmig keys ls' });
    }
    await found(this.#fileOf(name), () => unlink(this.#fileOf(name)));
    return known;
  }

  #fileOf(name: string): string {
    return path.join(this.#trusted, `${name}${suffix}`);
  }

  async #readTrusted(name: string): Promise<TrustedHost> {
    const file = this.#fileOf(name);
    const text = (await found(file, () => readFile(file, 'utf8'))) ?? '';
    return { name, certificate: parseCertificate(text, file) };
  }

  async #readOwn(): Promise<string | null> {
    const file = await found(this.#own, () => stat(this.#own));
    if (file === null) return null;
    if ((file.mode & 0o077) !== 0) {
      throw new TrmigError('E_KEYS', `others may read ${this.#own}, and with it be this host`, {
        hint: `If nobody has: chmod 600 ${this.#own}; else make another: trmig keys init --renew`,
        facts: { path: this.#own },
      });
    }
    return found(this.#own, () => readFile(this.#own, 'utf8'));
  }
}

async function write(file: string, content: string): Promise<void> {
  await durable(file, content).catch((cause: unknown) => {
    throw unusable(file, cause);
  });
}

/** null when there is no such file. @throws TrmigError E_KEYS naming it */
async function found<T>(file: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw unusable(file, cause);
  }
}

function unusable(file: string, cause: unknown): TrmigError {
  const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new TrmigError('E_KEYS', `${file} cannot be used: ${why}`, { cause, facts: { path: file } });
}

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { checkKeys } from '../../src/doctor/key-checks.js';
import { KeyRing } from '../../src/keys/index.js';
import { keyDays } from '../../src/limits.js';
import { Home } from '../../src/machine/index.js';

function ringIn(t: Test): { ring: KeyRing; home: Home; own: string } {
  const root = mkdtempSync(path.join(tmpdir(), 'trmig-keys-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const home = new Home(root);
  return { ring: new KeyRing(home), home, own: path.join(home.keys, 'host.pem') };
}

const given = { source: 'a test', replace: false };

t.test('a key is made once, is for its owner only, and says when it ends', async (t) => {
  const { ring, home, own } = ringIn(t);
  t.equal(await ring.certificate(), null);
  await t.rejects(ring.credentials(), { code: 'E_KEYS_MISSING', hint: /trmig keys init/ });
  const made = await ring.init({ renew: false });
  t.same(await ring.certificate(), made);
  t.same([statSync(own).mode & 0o777, statSync(home.keys).mode & 0o777], [0o600, 0o700]);
  t.same(readdirSync(home.keys), ['host.pem'], 'nothing of its making is left');
  const days = (made.expiresMs - Date.now()) / 86_400_000;
  t.ok(days > keyDays - 1 && days <= keyDays, `${days} days`);
  t.match(hostname(), new RegExp(`^${made.host.slice(0, 8)}`));
  const text = execFileSync('openssl', ['x509', '-noout', '-text', '-fingerprint', '-sha256'], {
    input: made.pem,
  }).toString();
  t.match(text, /CA:FALSE/, 'it is no authority');
  t.match(text, new RegExp(`Fingerprint=${made.fingerprint}`, 'i'), 'openssl sees the same fingerprint');
  await t.rejects(ring.init({ renew: false }), { code: 'E_KEYS', hint: /--renew/ });
  t.not((await ring.init({ renew: true })).fingerprint, made.fingerprint);
});

t.test('a private key that others may read, and one that is none, are refused', async (t) => {
  const { ring, own } = ringIn(t);
  await ring.init({ renew: false });
  chmodSync(own, 0o640);
  await t.rejects(ring.credentials(), { code: 'E_KEYS', message: /others may read/, hint: /chmod 600/ });
  chmodSync(own, 0o600);
  writeFileSync(own, 'nothing');
  await t.rejects(ring.credentials(), { code: 'E_KEYS', message: /holds no certificate/ });
});

t.test('certificates are trusted by name, once, until forgotten', async (t) => {
  const { ring, home } = ringIn(t);
  const others = [ringIn(t), ringIn(t)];
  const [one, two] = await Promise.all(others.map(({ ring }) => ring.init({ renew: false })));
  t.same(await ring.trusted(), []);
  t.match(await ring.trust(`some words\n${one!.pem}`, { ...given, name: 'one' }), { name: 'one', certificate: one });
  await ring.trust(one!.pem, { ...given, name: 'one' });
  await t.rejects(ring.trust(two!.pem, { ...given, name: 'one' }), { code: 'E_KEYS', hint: /--replace.*--name/ });
  await ring.trust(two!.pem, { ...given, name: 'two' });
  t.same(
    (await ring.trusted()).map(({ name }) => name),
    ['one', 'two'],
  );
  await ring.trust(two!.pem, { ...given, name: 'one', replace: true });
  t.same(
    (await ring.trusted()).map(({ certificate }) => certificate.fingerprint),
    [two!.fingerprint, two!.fingerprint],
  );
  await ring.forget('one');
  t.same(
    (await ring.trusted()).map(({ name }) => name),
    ['two'],
  );
  await t.rejects(ring.forget('one'), { code: 'E_KEYS', hint: /keys ls/ });
  t.same(readdirSync(path.join(home.keys, 'trusted')), ['two.pem']);
});

t.test(
  'what is handed over is not believed: no certificate, a damaged one, a private key, a name that is a path',
  async (t) => {
    const { ring, home } = ringIn(t);
    const other = ringIn(t);
    const { pem } = await other.ring.init({ renew: false });
    const middle = pem.length >> 1;
    const damaged = `${pem.slice(0, middle)}AAAA${pem.slice(middle + 4)}`;
    for (const text of ['', 'hello', pem.slice(0, 100), 'x'.repeat(100_000) + pem]) {
      await t.rejects(ring.trust(text, { ...given, name: 'x' }), { code: 'E_KEYS' });
    }
    const cut = pem.replace(/\n[^\n]+\n-----END/, '\n-----END');
    await t.rejects(ring.trust(cut, { ...given, name: 'x' }), { code: 'E_KEYS', message: /damaged/ });
    // A flipped byte may still parse: then it is the certificate of nobody, and no key fits it.
    await ring.trust(damaged, { ...given, name: 'x' }).catch(() => undefined);
    for (const name of ['../x', '', 'A b', '.x']) {
      await t.rejects(ring.trust(pem, { ...given, name }), { code: 'E_MACHINE_NAME' });
    }
    await ring.trust(readFileSync(other.own, 'utf8'), { ...given, name: 'y' });
    t.notMatch(readFileSync(path.join(home.keys, 'trusted', 'y.pem'), 'utf8'), /PRIVATE/, 'a private key is not kept');
  },
);

t.test('the doctor tells of no key, of one that ends soon and of one that others may read', async (t) => {
  const { ring, home, own } = ringIn(t);
  t.match(await checkKeys({ home }), { level: 'warn', hint: /keys init/ });
  const { expiresMs } = await ring.init({ renew: false });
  t.match(await checkKeys({ home }), { level: 'ok' });
  t.match(await checkKeys({ home }, expiresMs - 86_400_000), { level: 'warn', message: /this host.*expires on/ });
  t.match(await checkKeys({ home }, expiresMs + 1), { level: 'warn', message: /has expired/, hint: /--renew/ });
  chmodSync(own, 0o644);
  t.match(await checkKeys({ home }), { level: 'fail', hint: /chmod/ });
});

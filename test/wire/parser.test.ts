import { crc32 } from 'node:zlib';
import t from 'tap';
import { TrmigError } from '../../src/errors.js';
import type { Frame } from '../../src/wire/frames.js';
import { FrameParser, encodeFrame, frameHeaderBytes } from '../../src/wire/parser.js';
import { SAMPLES, allSamples, seeded } from './samples.js';

const bytesOf = (frame: Frame, short = false): Buffer => {
  const { head, payload } = encodeFrame(frame, { short });
  return payload === null ? head : Buffer.concat([head, payload]);
};
const isHandshake = (frame: Frame): boolean => frame.kind === 'hello' || frame.kind === 'welcome';
/** Long frames and short ones in turn. */
const sessionBytes = Buffer.concat(
  allSamples
    .filter((frame) => !isHandshake(frame))
    .flatMap((frame) => [bytesOf(frame), bytesOf(frame, true), bytesOf(frame, true)]),
);

function parserOpen(): FrameParser {
  const parser = new FrameParser();
  parser.version = 1;
  return parser;
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return error instanceof TrmigError ? error.code : `not a TrmigError: ${String(error)}`;
  }
};

t.test('every kind of frame comes out as it went in', (t) => {
  for (const frame of allSamples) {
    const parser = isHandshake(frame) ? new FrameParser() : parserOpen();
    const bytes = bytesOf(frame);
    t.strictSame([...parser.push(bytes)], [{ frame, bytes: bytes.length }], frame.kind);
    t.equal(parser.pendingBytes, 0);
  }
  t.end();
});

t.test('a short frame is the same frame in fewer bytes', (t) => {
  for (const frame of allSamples.filter((frame) => !isHandshake(frame))) {
    const [long, short] = [bytesOf(frame), bytesOf(frame, true)];
    t.strictSame([...parserOpen().push(short)], [{ frame, bytes: short.length }], frame.kind);
    t.ok(short.length <= long.length - 12, `${frame.kind}: ${short.length} of ${long.length} bytes`);
  }
  t.equal(bytesOf(SAMPLES.log, true).length, 7 + SAMPLES.log.bytes.length, 'a piece of log carries seven bytes');
  t.end();
});

t.test('short frames before the handshake, of unknown kinds and of endless lengths are refused', (t) => {
  const first =
    (...bytes: number[]): (() => unknown) =>
    () => [...parserOpen().push(Buffer.from(bytes))];
  const early = (): unknown => [...new FrameParser().push(bytesOf(SAMPLES.accept, true))];
  t.equal(codeOf(early), 'E_WIRE_GARBAGE', 'before the handshake');
  t.equal(codeOf(first(0x80)), 'E_WIRE_GARBAGE', 'kind 0');
  t.equal(codeOf(first(0xff)), 'E_WIRE_GARBAGE', 'kind 127');
  t.equal(codeOf(first(0x81)), 'E_WIRE_GARBAGE', 'a hello');
  t.equal(codeOf(first(0x89, 0x80, 0x80, 0x80, 0x80)), 'E_WIRE_OVERSIZE', 'a length of five digits');
  t.equal(codeOf(first(0x97, 0x01, 0x00, 0, 0, 0, 0)), 'E_WIRE_OVERSIZE', 'a body where there is none');
  t.equal(codeOf(first(0x89, 0x7f)), 'none', 'the beginning of one');
  t.end();
});

t.test('frames are found wherever the stream is cut', (t) => {
  const whole = [...parserOpen().push(sessionBytes)];
  for (const step of [1, 2, 3, 7, 19, 64]) {
    const parser = parserOpen();
    const found = [];
    for (let at = 0; at < sessionBytes.length; at += step)
      found.push(...parser.push(sessionBytes.subarray(at, at + step)));
    t.strictSame(found, whole, `cut every ${step} bytes`);
  }
  t.end();
});

t.test('a peer that speaks something else is told at its first bytes', (t) => {
  t.equal(
    codeOf(() => [...new FrameParser().push(Buffer.from('GET'))]),
    'E_WIRE_GARBAGE',
  );
  t.equal(
    codeOf(() => [...new FrameParser().push(Buffer.from('TX'))]),
    'E_WIRE_GARBAGE',
  );
  t.equal(
    codeOf(() => [...new FrameParser().push(Buffer.from('TR'))]),
    'none',
  );
  t.end();
});

t.test('a length beyond the bound of its kind is refused before anything is allocated', (t) => {
  const header = bytesOf(SAMPLES.segment).subarray(0, frameHeaderBytes);
  const big = Buffer.from(header);
  big.writeUInt32LE(0xffffffff, 12);
  t.equal(
    codeOf(() => [...parserOpen().push(big)]),
    'E_WIRE_OVERSIZE',
  );
  const body = Buffer.from(header);
  body.writeUInt32LE(0x7fffffff, 8);
  t.equal(
    codeOf(() => [...parserOpen().push(body)]),
    'E_WIRE_OVERSIZE',
  );
  t.end();
});

t.test('an encoder refuses to make what its reader would refuse', (t) => {
  const deviceState = Buffer.alloc(17 * 1024 * 1024);
  t.equal(
    codeOf(() => encodeFrame({ ...SAMPLES.checkpoint, deviceState })),
    'E_INTERNAL',
  );
  t.end();
});

t.test('a long message is cut, not refused', (t) => {
  const bytes = bytesOf({ kind: 'abort', code: 'E_INTERNAL', message: 'x'.repeat(100_000) });
  const [parsed] = [...parserOpen().push(bytes)];
  t.match(parsed?.frame, { kind: 'abort', message: /^x{999}…$/ });
  t.end();
});

t.test('a flipped bit anywhere is an error, at the bit or at the latest at the checksum', (t) => {
  for (const bytes of [bytesOf(SAMPLES.segment), bytesOf(SAMPLES.segment, true), bytesOf(SAMPLES.log, true)]) {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const parser = parserOpen();
      const code = codeOf(() => {
        // A longer length may make it wait: then it must not have yielded anything.
        if ([...parser.push(damaged)].length === 0 && parser.pendingBytes > 0)
          throw new TrmigError('E_ABORTED', 'waits');
      });
      if (!/^E_(WIRE_|ABORTED)/.test(code)) t.fail(`bit ${bit}: ${code}`);
    }
  }
  t.end();
});

t.test('frames of another version, before or after their time are refused', (t) => {
  const { head } = encodeFrame(SAMPLES.accept, { version: 2 });
  t.equal(
    codeOf(() => [...parserOpen().push(head)]),
    'E_WIRE_VERSION',
  );
  t.equal(
    codeOf(() => [...new FrameParser().push(bytesOf(SAMPLES.accept))]),
    'E_WIRE_GARBAGE',
  );
  t.equal(
    codeOf(() => [...parserOpen().push(bytesOf(SAMPLES.hello))]),
    'E_WIRE_GARBAGE',
  );
  const future = encodeFrame(SAMPLES.hello, { version: 9 }).head;
  t.equal([...new FrameParser().push(future)].length, 1, 'a hello of a newer version can be read');
  t.end();
});

t.test('seeded garbage never does anything but raise a TrmigError', (t) => {
  const seeds = Number(process.env['TRMIG_FUZZ_SEEDS'] ?? 400);
  const first = Number(process.env['TRMIG_SEED'] ?? 1);
  for (let seed = first; seed < first + seeds; seed++) {
    const random = seeded(seed);
    const below = (count: number): number => Math.floor(random() * count);
    let bytes = Buffer.from(sessionBytes);
    for (let damage = below(4) + 1; damage > 0; damage--) {
      const at = below(bytes.length);
      const way = below(5);
      if (way === 0) bytes[at] = below(256);
      else if (way === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + below(16))]);
      else if (way === 2) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([below(256)]), bytes.subarray(at)]);
      else if (way === 3)
        bytes.writeUInt32LE(below(2) === 0 ? 0xffffffff : below(65536), Math.min(at, bytes.length - 4));
      else bytes = bytes.subarray(0, at + 1);
      if (bytes.length < 8) break;
    }
    repairChecksums(bytes, random);
    const parser = parserOpen();
    const code = codeOf(() => {
      for (let at = 0; at < bytes.length;) {
        const size = below(400) + 1;
        for (const { frame } of parser.push(bytes.subarray(at, at + size))) encodeFrame(frame);
        at += size;
      }
    });
    if (code !== 'none' && !code.startsWith('E_WIRE_'))
      t.fail(`${code}; reproduce: TRMIG_SEED=${seed} TRMIG_FUZZ_SEEDS=1`);
  }
  t.end();
});

/** An attacker computes checksums too: half the time, damage must be found by the decoder alone. */
function repairChecksums(bytes: Buffer, random: () => number): void {
  if (random() < 0.5) return;
  let at = 0;
  while (at + frameHeaderBytes <= bytes.length && bytes.toString('latin1', at, at + 4) === 'TRMG') {
    const end = at + frameHeaderBytes + bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12);
    if (end > bytes.length) return;
    const rest = crc32(bytes.subarray(at + frameHeaderBytes, end), crc32(bytes.subarray(at, at + 16)));
    bytes.writeUInt32LE(rest, at + 16);
    at = end;
  }
}

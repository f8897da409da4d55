// The bytes of a connection: both forms of the header, before the handshake and after it, and wherever the stream is cut. The
// first byte says whether the handshake is over and whether checksums are made right, the second where the stream is cut.
import { crc32 } from 'node:zlib';
import { isDeepStrictEqual } from 'node:util';
import { FrameParser, encodeFrame, frameHeaderBytes, type ParsedFrame } from '../../../src/wire/parser.js';
import { allSamples } from '../../wire/samples.js';
import { inputsIn } from '../corpus.js';
import { attempt, must, type Target } from '../target.js';

const handshakeOver = 1;
const mended = 2;

const bytesOf = (short: boolean, version: number): Buffer[] =>
  allSamples.map((frame) => {
    const { head, payload } = encodeFrame(frame, { short, version });
    return Buffer.concat([head, payload ?? Buffer.alloc(0)]);
  });

/** Makes the checksum of the first frame in the long form right, when all of it is there. */
function mend(stream: Buffer): void {
  if (stream.length < frameHeaderBytes) return;
  const end = frameHeaderBytes + stream.readUInt32LE(8) + stream.readUInt32LE(12);
  if (end > stream.length) return;
  stream.writeUInt32LE(crc32(stream.subarray(frameHeaderBytes, end), crc32(stream.subarray(0, 16))), 16);
}

/** The frames before the first fault, behind which nothing may be pushed. */
function parse(stream: Buffer, options: { readonly version: number | null; readonly cut: number }): ParsedFrame[] {
  const parser = new FrameParser();
  parser.version = options.version;
  const frames: ParsedFrame[] = [];
  attempt(() => {
    for (const piece of [stream.subarray(0, options.cut), stream.subarray(options.cut)]) {
      for (const frame of parser.push(piece)) frames.push(frame);
    }
  });
  return frames;
}

export const target: Target = {
  seeds: () => [
    ...bytesOf(true, 1).map((bytes) => Buffer.concat([Buffer.of(handshakeOver, 5), bytes])),
    ...bytesOf(false, 1).map((bytes) => Buffer.concat([Buffer.of(handshakeOver | mended, 30), bytes])),
    ...bytesOf(false, 1)
      .slice(0, 3)
      .map((bytes) => Buffer.concat([Buffer.of(mended, 3), bytes])),
    ...inputsIn('fixtures/damaged/frames').map(({ bytes }) => Buffer.concat([Buffer.of(1, 9), bytes])),
  ],
  run: (bytes) => {
    if (bytes.length < 2) return;
    const [flags, cut] = [bytes[0]!, bytes[1]!];
    const stream = Buffer.from(bytes.subarray(2));
    if ((flags & mended) !== 0) mend(stream);
    const version = (flags & handshakeOver) === 0 ? null : 1;
    const whole = parse(stream, { version, cut: 0 });
    // Before the handshake is over, each push yields one frame at most.
    if (version === null) return;
    const pieces = parse(stream, { version, cut: Math.min(cut, stream.length) });
    must(isDeepStrictEqual(pieces, whole), 'where the stream is cut changes what comes out');
  },
};

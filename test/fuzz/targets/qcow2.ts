// The beginning of a qcow2 image: a header or a reason, never an exception.
import { parseQcow2Header } from '../../../src/machine/index.js';
import { must, type Target } from '../target.js';

function header(version: number, extensions: readonly (readonly [number, string])[], backing = ''): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.writeUInt32BE(0x514649fb, 0);
  bytes.writeUInt32BE(version, 4);
  bytes.writeUInt32BE(9, 20);
  bytes.writeBigUInt64BE(1n << 20n, 24);
  if (version === 3) bytes.writeUInt32BE(104, 100);
  let at = version === 3 ? 104 : 72;
  for (const [type, data] of extensions) {
    bytes.writeUInt32BE(type, at);
    bytes.writeUInt32BE(data.length, at + 4);
    bytes.write(data, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
  if (backing !== '') {
    bytes.writeBigUInt64BE(BigInt(at + 8), 8);
    bytes.writeUInt32BE(backing.length, 16);
    bytes.write(backing, at + 8);
  }
  return bytes;
}

export const target: Target = {
  bytesMax: 1024,
  seeds: () => [
    header(2, []),
    header(3, []),
    header(3, [[0xe2792aca, 'raw']], '/etc/passwd'),
    header(3, [[0x44415441, 'data.raw']]),
    header(3, [[0x6803f857, 'names of features']]),
  ],
  run: (bytes) => {
    const parsed = parseQcow2Header(bytes);
    if (typeof parsed === 'string') return;
    must(Number.isSafeInteger(parsed.virtualBytes) && parsed.virtualBytes >= 0, 'the size of its disk is none');
  },
};

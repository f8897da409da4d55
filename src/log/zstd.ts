// zstd in the two ways that a log needs: a stream that lives as long as its link and is flushed for each piece, and frames
// that stand by themselves.
//
// Invariant: a reader never produces, or reserves, more bytes than it was told to expect.
import binding from 'zstd-napi/binding.js';
import { logWindowLog, zstdWindowLogMax } from '../limits.js';

const { CCtx, CParameter, DCtx, DParameter, EndDirective, ResetDirective, compressBound, getFrameContentSize } =
  binding;
const compressionLevel = 3; // the next levels cost twice the time for a few per cent

/** Turns bytes into fewer, and says nothing of their number. */
export interface Squeezer {
  squeeze(bytes: Uint8Array): Buffer;
}

/** Undoes what the Squeezer of its kind did. */
export interface Unsqueezer {
  /** @throws RangeError when they are not exactly `length` bytes; whatever zstd throws when they are not its own */
  unsqueeze(bytes: Uint8Array, length: number): Buffer;
}

/** Pieces that compress against the pieces before them; to be read in the same order. */
export class StreamSqueezer implements Squeezer {
  readonly #context = new CCtx();

  constructor() {
    this.#context.setParameter(CParameter.compressionLevel, compressionLevel);
    this.#context.setParameter(CParameter.windowLog, logWindowLog);
  }

  squeeze(bytes: Uint8Array): Buffer {
    const pieces: Buffer[] = [];
    for (let at = 0, more = true; more;) {
      const piece = Buffer.allocUnsafe(compressBound(bytes.length - at) + 64);
      const [left, produced, consumed] = this.#context.compressStream2(piece, bytes.subarray(at), EndDirective.flush);
      pieces.push(piece.subarray(0, produced));
      at += consumed;
      more = left > 0 || at < bytes.length;
    }
    // Sized copies: the scratch space is as large as the bytes, the outcome a fraction of it.
    return Buffer.concat(pieces);
  }
}

export class StreamUnsqueezer implements Unsqueezer {
  readonly #context = new DCtx();

  constructor() {
    this.#context.setParameter(DParameter.windowLogMax, logWindowLog);
  }

  unsqueeze(bytes: Uint8Array, length: number): Buffer {
    // One byte more than expected: what is too long shows as such, and goes no further.
    const output = Buffer.allocUnsafeSlow(length + 1);
    let filled = 0;
    for (let at = 0; at < bytes.length;) {
      const [, produced, consumed] = this.#context.decompressStream(output.subarray(filled), bytes.subarray(at));
      filled += produced;
      at += consumed;
      if (filled > length || (produced === 0 && consumed === 0)) throw new RangeError('they are too many');
    }
    if (filled !== length) throw new RangeError(`they are ${filled}`);
    return output.subarray(0, filled);
  }
}

const frameEncoder = new CCtx();
frameEncoder.setParameter(CParameter.compressionLevel, compressionLevel);
const frameDecoder = new DCtx();
frameDecoder.setParameter(DParameter.windowLogMax, zstdWindowLogMax);

/** Each piece a zstd frame. */
export const frames: Squeezer & Unsqueezer = {
  squeeze: (bytes) => {
    const output = Buffer.allocUnsafe(compressBound(bytes.length));
    return Buffer.from(output.subarray(0, frameEncoder.compress2(output, bytes)));
  },
  unsqueeze: (bytes, length) => {
    if (getFrameContentSize(bytes) !== length) throw new RangeError(`they say they are ${getFrameContentSize(bytes)}`);
    const output = Buffer.allocUnsafeSlow(length);
    try {
      if (frameDecoder.decompress(output, bytes) !== length) throw new RangeError('they are fewer');
      return output;
    } catch (error) {
      frameDecoder.reset(ResetDirective.sessionOnly);
      throw error;
    }
  },
};

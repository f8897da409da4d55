// FlatBuffers in JavaScript have no verifier, and the runtime reads past the end of a buffer as zeros, or hands out memory
// of its neighbours as a typed array. Foreign bytes must not be read that way: whoever reads a table that came over the
// wire or from a disk goes through `readTable`. (A checksum over the message comes first, but a checksum only tells
// accident from intent.)
//
// Invariants:
// - No access leaves the message's own bytes: each read is checked, and the bytes lie in an ArrayBuffer of exactly their
//   length, so a typed array over a vector cannot reach further either.
// - Whatever goes wrong while reading becomes the one error that the caller names.
import { ByteBuffer, type Encoding } from 'flatbuffers';
import { TrmigError } from '../errors.js';

class BoundedByteBuffer extends ByteBuffer {
  readonly #bytes: Uint8Array;
  readonly #limit: number;

  constructor(bytes: Uint8Array) {
    super(bytes);
    this.#bytes = bytes;
    this.#limit = bytes.length;
  }

  #check(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.#limit) return;
    throw new RangeError(`${length} bytes at ${offset} are not within the ${this.#limit} bytes of the message`);
  }

  // The other reads of the runtime (signed, 64 bit, floats, __offset, __indirect, __vector) are made of these three.
  override readUint8(offset: number): number {
    this.#check(offset, 1);
    return this.#bytes[offset]!;
  }

  override readUint16(offset: number): number {
    this.#check(offset, 2);
    return super.readUint16(offset);
  }

  override readInt32(offset: number): number {
    this.#check(offset, 4);
    return super.readInt32(offset);
  }

  override __string(offset: number, encoding?: Encoding): string | Uint8Array {
    const start = offset + this.readInt32(offset);
    this.#check(start + 4, this.readInt32(start));
    return encoding === undefined ? super.__string(offset) : super.__string(offset, encoding);
  }

  override __vector_len(offset: number): number {
    const start = offset + this.readInt32(offset);
    const length = this.readInt32(start);
    this.#check(start + 4, length); // an element has at least one byte
    return length;
  }
}

export interface ReadTableOptions<Table, Value> {
  /** The generated `getRootAs…`. */
  readonly root: (buffer: ByteBuffer) => Table;
  /** The schema's file_identifier, if it has one. */
  readonly identifier?: string;
  /** The largest message that is acceptable, in bytes. */
  readonly bytesMax: number;
  /**
   * Turns the table into a plain value. It may throw RangeError for a value that is out of bounds, and must not keep the
   * table. A missing required field may simply be dereferenced: the TypeError is reported as damage too.
   */
  readonly read: (table: Table) => Value;
  /** Makes the error to throw from the reason. */
  readonly fault: (why: string, cause?: unknown) => TrmigError;
}

/**
 * Reads one FlatBuffers table from foreign bytes.
 * @throws what `fault` makes, for any bytes that are not a well-formed message.
 */
export function readTable<Table, Value>(bytes: Uint8Array, options: ReadTableOptions<Table, Value>): Value {
  if (bytes.length > options.bytesMax) {
    throw options.fault(`a message of ${bytes.length} bytes is larger than the ${options.bytesMax} allowed`);
  }
  try {
    const buffer = new BoundedByteBuffer(ownCopy(bytes));
    if (options.identifier !== undefined && !buffer.__has_identifier(options.identifier)) {
      throw new RangeError(`it is not marked "${options.identifier}"`);
    }
    return options.read(options.root(buffer));
  } catch (thrown) {
    if (thrown instanceof TrmigError) throw thrown;
    if (thrown instanceof RangeError) throw options.fault(thrown.message, thrown);
    if (thrown instanceof TypeError) throw options.fault('a required field is missing', thrown);
    throw thrown;
  }
}

function ownCopy(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

/**
 * A u64 as a number.
 * @throws RangeError from 2^53 on; `name` says which field.
 */
export function safeNumber(value: bigint, name: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`${name} is out of bounds: ${value}`);
  return Number(value);
}

/**
 * A required string.
 * @throws RangeError when it is missing.
 */
export function required(value: string | null, name: string): string {
  if (value === null) throw new RangeError(`${name} is missing`);
  return value;
}

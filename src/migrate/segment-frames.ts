// Segments as frames of a link, in whichever form the peer reads, and back.

import { WireEncoder, type Segment, type WireDecoder } from '../log/index.js';
import { icount } from '../units.js';
import { capabilities } from '../wire/capabilities.js';
import type { LogFrame, SegmentFrame } from '../wire/frames.js';
import type { Link } from '../wire/link.js';

/** An encoder of what the other side reads. */
export function encoderFor(link: Link): WireEncoder {
  return new WireEncoder({ columnar: link.peer.capabilities.includes(capabilities.columnarLog) });
}

/** To be sent in the order of the calls. */
export function segmentFrame(encoder: WireEncoder, segment: Segment): SegmentFrame | LogFrame {
  const { header, bytes } = encoder.encode(segment);
  if (header === null) return { kind: 'log', bytes };
  const { payloadBytes, ...rest } = header;
  return { kind: 'segment', ...rest, rawBytes: payloadBytes, bytes };
}

/**
 * Undoes `segmentFrame`; frames must come in their order.
 * @throws TrmigError E_LOG_SEGMENT, E_LOG_EVENT
 */
export function frameSegment(decoder: WireDecoder, frame: SegmentFrame | LogFrame): Segment {
  if (frame.kind === 'log') return decoder.decode(null, frame.bytes);
  const { kind: _kind, bytes, rawBytes, from, to, ...header } = frame;
  return decoder.decode({ ...header, from: icount(from), to: icount(to), payloadBytes: rawBytes }, bytes);
}

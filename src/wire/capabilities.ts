// What a peer may be able to read beyond version 1 of the protocol. Each side says its own in the handshake and sends only
// what the other one can read. Names are never reused.

export const capabilities = {
  /** Segments in the encoding `columnar`, and the frame `log`. */
  columnarLog: 'columnar-log',
  /** `accept` saying how much of a recording is there already, and only the rest of it being shipped. */
  resumeRecording: 'resume-recording',
  /** The disks of a recording that is shipped. */
  shipDisks: 'ship-disks',
  /** The short form of a frame's header. */
  shortFrames: 'short-frames',
  /** Another `offer` on the same connection, when a replay has diverged and both sides are done with it. */
  offerAgain: 'offer-again',
  /** `hello` naming the link, to go on with it over another connection; the frames `ack` and `bye`. */
  resumeLink: 'resume-link',
} as const;

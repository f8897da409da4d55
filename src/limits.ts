// Every bound in one place, each with its reason. Foreign bytes are refused at these, never "handled somehow".

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

// --- tracer ---
/** A line on the tracer's or QMP's socket. The largest is `arm`'s reply with the base64 of a device state. */
export const controlLineBytesMax = 16 * MIB;
/** One segment's raw payload. A full ring (64 MiB) drains as several segments, so a segment need not hold one. */
export const segmentPayloadBytesMax = 16 * MIB;

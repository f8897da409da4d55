// The wire: frames over one connection between two hosts.
export { capabilities } from './capabilities.js';
export { dayOf, parseCertificate, type Certificate } from './certificate.js';
export { connect, listen, type ConnectOptions, type Identity, type ListenOptions, type Listener } from './connect.js';
export type * from './frames.js';
export { Link, type LinkOptions, type PeerInfo } from './link.js';
export { totalBytes, type BytesByKind, type LinkBytes, type LinkRates } from './meter.js';
export { protocolVersionMax, protocolVersionMin } from './parser.js';
export { type Credentials, type Security, type TrustedHost } from './secure.js';

// What this trmig says of itself to a peer.

import { hostname } from 'node:os';
import { version } from '../version.js';
import { capabilities } from '../wire/capabilities.js';
import type { Identity } from '../wire/connect.js';

export const identity: Identity = { trmig: version, host: hostname(), capabilities: Object.values(capabilities) };

// Who this host is to others, and whom it trusts.
export { KeyRing } from './key-ring.js';

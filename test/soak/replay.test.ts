// A machine that is armed and disarmed two thousand times, and then replayed to the last bit.
process.env['TRMIG_ARMINGS'] ??= '2000';
await import('../system/replay.test.js');

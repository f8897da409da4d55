// A machine that goes ten times around three hosts on one recording.
process.env['TRMIG_ROUNDS'] ??= '10';
await import('../system/recorded-lan.test.js');

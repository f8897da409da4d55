// A machine with a disk and two nics that comes back after a minute of writing, and then goes around three hosts ten times.
process.env['TRMIG_ROUNDS'] ??= '10';
process.env['TRMIG_STAY_S'] ??= '60';
process.env['TRMIG_DISK_MIB'] ??= '1024';
await import('../system/whole.test.js');

// The whole migrations of test/system, ten times there and back, with the downtime that people ask for.
process.env['TRMIG_ROUNDS'] ??= '10';
process.env['TRMIG_DOWNTIME_MS'] ??= '20';
await import('../system/migrate.test.js');

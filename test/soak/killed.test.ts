// Sources killed at forty moments of their migrations. What fails says its TRMIG_SEED.
process.env['TRMIG_KILLS'] ??= '40';
await import('../system/killed.test.js');

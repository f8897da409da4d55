// Waits for the test that started it to end, however it ends (kill -9 too), and kills what the test's folder still has
// running: `node guard.js FOLDER`, with the test at the other end of its standard input.
import { killThoseOf, unmountThoseOf } from './folder-processes.js';

const folder = process.argv[2] ?? '';
const clear = (): void => {
  killThoseOf(folder);
  unmountThoseOf(folder);
};
process.stdin.on('end', clear).on('error', clear).resume();

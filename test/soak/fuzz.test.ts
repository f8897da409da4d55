// The fuzz targets, a minute each.
import t from 'tap';
import { fuzzAll } from '../fuzz/stage.js';

const seconds = 60;
t.setTimeout(100 * seconds * 1000);
fuzzAll(t, seconds);

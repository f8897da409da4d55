import t from 'tap';
import { fuzzAll } from './stage.js';

fuzzAll(t, 2);

// What a coder of logs knows before it has met any: pieces of recordings of a Linux guest (compiling, calculating, writing to
// memory, idle), columnar themselves. To read them is to learn what is usual in a log, so that even a first segment, and each
// segment on disk, is coded by somebody with experience.
//
// The pieces are part of the format: they never change, for what was written with them is only read with them.
import { alone, decodeColumnar } from './columnar.js';
import { EventModel } from './event-model.js';
import { frames } from './zstd.js';

interface Piece {
  readonly payloadBytes: number;
  /** In base64. */
  readonly bytes: readonly string[];
}

const pieces: readonly Piece[] = [
  {
    // compile, 469 events
    payloadBytes: 2129,
    bytes: [
      'bXA49EX9xY4cf6VU088bN13TVezGtjKfhY2JluMSkVYmvEHd4BzP12t9y9B6d/VapGUbXSXI/YnKqjAf5KwajfFXCCK6XTLLOxxMPjn6+2QX95',
      'WYvHFoRF7LJYcacPGTIu1DUkazdzEG/PpdCWqYjFta/78ImtBd/nfVhc0Qqb5NcEEF9+tG0nj3jDA/hHYcvtaCX85KxHU7FCGeUELSi1i2K9J8',
      'iJTH3+OE8IFuPa4XDRT0qiph2Ufk9gp982SE6r82brXSfGS/0aW9nAJYh36sARrUfST2hIACA6TyTzbS2b6pRuSsf7jtbQQ=',
    ],
  },
  {
    // alu, 430 events
    payloadBytes: 1654,
    bytes: [
      '/w4wNha1a9nTC4X4UX9omDYggAoNT89JuvBbeAUsz9e/Vt6mfs91vOf5MZClpXOvSTfMGPU+BhJxw7o/HZMaeP+u75GHFBzrwckMR7bZlq4Qil',
      'VRZ8s4ibwS5qeYTrrHDu7wGYO/zYjtrGdxxzrUhX82c3up1VJDmY2+UdqA3lccHNPUHMtyCI/a8Vc0IuWtFyICLZuDj83FA+yO3EzXA5hK67It',
      'Nvhqzsh2199yDuLBH19LlbdVNJm2wjCbMfM5e8CyntQ0MyOVxwjES6Pn3RnMX6L+IamCOsilDuxjgezbJh0WBCczjPRqOj6h5O7njNIn8876ig',
      '==',
    ],
  },
  {
    // hotset, 579 events
    payloadBytes: 2351,
    bytes: [
      'R8Bzerk/DwDcI3eWLP5GlSHh3goMfMfEb3WK7GAZcpGImDk1yL37PGAyIY3Vq2yF8dwW4b5nfCD0zN0Y69KE9eBrDL5AV2jlLA5CW6uROTajMF',
      'Ak4QA86JzZ+UNG1JesGLUgitVTKiVJUEjAG6C3tuwPvpiLlvugZDTl9jmLSKOi0tKrwxms515ApZHpb1N53NwdU8yG',
    ],
  },
  {
    // idle, 449 events
    payloadBytes: 2281,
    bytes: [
      '/G17S1by3KbeiOjhYV/CFCyy8ELrnma2Xtlei6QAtcN23kzYVmmnEYC10Ca1wCnTS/2nuKDuIj4+7/E+lXoawe6wYCin+KO2/nys1ncnuWd0kY',
      'nWBdvAeLsuV/MovufnBhZAXXctThtOcoK3FRTad0Xw84z8nE9J2jaOtkj/rwjC2gB2LZxQlEahi+KIC+dv9Vi5g+3Qha7xDQjCDoanrJLLD+Tf',
      'otBtOgRojdz089nwBcqBd9ypCxPtJS/XbEjXw4Oy2MTTFljuRWGs0awMKtlY4ufFcSwdHvbmrrX7P8y+YPEA5z0MJ1D2s+Jaimnl/etkUGpRL7',
      'iucWKnwh+fZnx2D1eXtaFVCaC0X1drBI8f6Driy0Np3VtVAjXbS2pm2tcRf0cHvvKc5Mb0hezJk5NK9nCSJ9fJM84OVP7z1c6gMM9ZQJAy7QX6',
      'EyWU3GlM1CoYXu4MdF9KOVG4fgZjLI9Vbg4q8H4YR5Anmp52vWQ9slWvtObPHM7dd4XvRGawe1RSjIezP4pfkeWchlWOovXm0cCyMw==',
    ],
  },
];

let primed: EventModel | null = null;

/** Makes `model` know what every coder knows at its beginning; returns it. */
export function prime(model: EventModel): EventModel {
  primed ??= learn();
  model.assign(primed);
  return model;
}

function learn(): EventModel {
  const model = new EventModel();
  for (const { payloadBytes, bytes } of pieces) {
    decodeColumnar(model, frames, Buffer.from(bytes.join(''), 'base64'), alone({ payloadBytes, from: 0 }));
    model.forgetPlace();
  }
  return model;
}

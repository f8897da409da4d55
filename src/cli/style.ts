// Colour, only where somebody looks: on a terminal, unless NO_COLOR says otherwise (https://no-color.org).
import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

export interface Style {
  readonly good: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly strong: (text: string) => string;
}

/** Whether text for this stream may be coloured. */
export function isColourful(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

export function styleFor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Style {
  const colourful = isColourful(stream, env);
  // Node 22 would look at the process's own stdout by itself; what counts is the stream that the text is for.
  const as = (format: Format) => (text: string) => (colourful ? styleText(format, text) : text);
  return { good: as('green'), warning: as('yellow'), bad: as(['bold', 'red']), dim: as('dim'), strong: as('bold') };
}

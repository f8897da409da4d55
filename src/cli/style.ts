// Colour, only where somebody looks: on a terminal, unless NO_COLOR says otherwise (https://no-color.org).

/** SGR codes: on, off. */
const codes = {
  green: [32, 39],
  yellow: [33, 39],
  red: [31, 39],
  dim: [2, 22],
  bold: [1, 22],
} as const;

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
  // Not node's styleText: it looks at the process's own stdout, and what counts is the stream that the text is for.
  const as = (name: keyof typeof codes) => (text: string) =>
    colourful ? `\u001b[${codes[name][0]}m${text}\u001b[${codes[name][1]}m` : text;
  return { good: as('green'), warning: as('yellow'), bad: as('red'), dim: as('dim'), strong: as('bold') };
}

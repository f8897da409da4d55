// What every command has in common: where the state directory is, how results, progress and errors are told, and how Ctrl-C
// ends things.
//
// With --json everything a program reads is on stdout, one JSON object a line; the last line is the result, or the error as
// {"error": {...}}. Without it, results are text on stdout, errors and progress text on stderr.
//
// Invariants: the first Ctrl-C (or SIGTERM) aborts `signal` and lets the command clean up; the second ends the process at
// once. A TrmigError sets the exit code of its table; nothing else decides it but `fails`.
import { Command, Flags, type Interfaces } from '@oclif/core';
import { TrmigError, asTrmigError } from '../errors.js';
import type { Home, Notes } from '../index.js';
import { styleFor, type Style } from './style.js';

export type ParsedFlags<T extends typeof Command> = Interfaces.InferredFlags<
  (typeof BaseCommand)['baseFlags'] & T['flags']
>;
export type ParsedArgs<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const exitCodeInterrupted = 130;

export abstract class BaseCommand<T extends typeof Command> extends Command {
  static override baseFlags = {
    home: Flags.string({
      summary: 'State directory, instead of ~/.local/state/trmig.',
      env: 'TRMIG_HOME',
      helpGroup: 'GLOBAL',
      helpValue: 'DIR',
    }),
    json: Flags.boolean({ summary: 'Print JSON, one object a line.', helpGroup: 'GLOBAL' }),
  };

  protected flags!: ParsedFlags<T>;
  protected args!: ParsedArgs<T>;
  /** For what is printed to stdout. */
  protected readonly style: Style = styleFor(process.stdout);

  readonly #controller = new AbortController();
  readonly #onSignal = (): void => this.#interrupt();
  #pipeClosed = false;

  /** Aborted by Ctrl-C. Everything that waits gets it. */
  protected get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether somebody who reads only the beginning of the output (`| head`) ends the command. */
  protected get endsWithItsReader(): boolean {
    return true;
  }

  protected get jsonWanted(): boolean {
    // Asked also when the flags could not be parsed.
    const end = this.argv.indexOf('--');
    return this.argv.slice(0, end < 0 ? undefined : end).includes('--json');
  }

  override async init(): Promise<void> {
    await super.init();
    for (const signal of interrupts) process.on(signal, this.#onSignal);
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') return;
      this.#pipeClosed = true;
      if (this.endsWithItsReader) this.#controller.abort();
    });
    const { args, flags } = await this.parse({
      flags: this.ctor.flags,
      baseFlags: BaseCommand.baseFlags,
      args: this.ctor.args,
      strict: this.ctor.strict,
    });
    this.flags = flags as ParsedFlags<T>;
    this.args = args as ParsedArgs<T>;
  }

  /** The state directory that the command works in. */
  protected async home(): Promise<Home> {
    const { Home } = await import('../index.js');
    const { home } = this.flags as { home?: string };
    return home === undefined || home === '' ? Home.fromEnvironment() : new Home(home);
  }

  /** Prints the result: `value` as JSON, or `text`. */
  protected result(value: object, text: () => string | readonly string[]): void {
    if (this.jsonWanted) this.jsonLine(value);
    else this.print(text());
  }

  /** One line of JSON progress; without --json, nothing. */
  protected progress(value: object): void {
    if (this.jsonWanted) this.jsonLine(value);
  }

  protected jsonLine(value: object): void {
    this.write(this.jsonText(value));
  }

  /** The line that `jsonLine` would print. */
  protected jsonText(value: object): string {
    return `${JSON.stringify(value, jsonSafe)}\n`;
  }

  protected print(text: string | readonly string[]): void {
    const lines = typeof text === 'string' ? [text] : text;
    this.write(lines.map((line) => `${line}\n`).join(''));
  }

  /** Writes to stdout; true when more may be written at once. */
  protected write(text: string | Uint8Array): boolean {
    return this.#pipeClosed || process.stdout.write(text);
  }

  /** As `write`, and waits while the reader is slower than we are. */
  protected async writeSlowly(text: string): Promise<void> {
    if (this.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        process.stdout.removeListener('drain', done);
        process.stdout.removeListener('close', done);
        this.signal.removeEventListener('abort', done);
        resolve();
      };
      process.stdout.once('drain', done);
      process.stdout.once('close', done);
      this.signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Notes in the catalog what the command has done. The catalog is only an index: a note that fails is a remark. */
  protected async note(home: Home, notes: Notes): Promise<void> {
    const { note } = await import('../index.js');
    await note(home, notes).catch((error: unknown) => {
      this.remark(`not in the catalog: ${asTrmigError(error).message}`);
    });
  }

  /** A remark for people, on stderr. */
  protected remark(text: string): void {
    if (!this.jsonWanted) process.stderr.write(`${text}\n`);
  }

  /** The result was printed and is bad news: the command ends with this code. */
  protected fails(exitCode = 1): void {
    process.exitCode = exitCode;
  }

  /** As `fails`; the error was part of the JSON result, and is told to people here. */
  protected failWith(error: TrmigError): void {
    process.exitCode = error.exitCode;
    if (!this.jsonWanted) process.stderr.write(errorText(error, styleFor(process.stderr), this.id ?? ''));
  }

  override async catch(thrown: Error): Promise<void> {
    // oclif's own way to end a command early (--help, --version).
    if ('oclif' in thrown && (thrown as { code?: string }).code === 'EEXIT') throw thrown;
    const error = usageError(thrown) ?? asTrmigError(thrown);
    if (this.#pipeClosed && error.code === 'E_ABORTED') return;
    process.exitCode = error.exitCode;
    if (this.jsonWanted) this.jsonLine({ error });
    else process.stderr.write(errorText(error, styleFor(process.stderr), this.id ?? ''));
    if (error.code === 'E_INTERNAL' && process.env['TRMIG_DEBUG']) process.stderr.write(`${thrown.stack ?? ''}\n`);
  }

  override async finally(thrown: Error | undefined): Promise<void> {
    for (const signal of interrupts) process.removeListener(signal, this.#onSignal);
    await super.finally(thrown);
  }

  #interrupt(): void {
    if (this.#controller.signal.aborted) process.exit(exitCodeInterrupted);
    this.#controller.abort(new TrmigError('E_ABORTED', 'it was interrupted'));
  }
}

/** What went wrong, why, and what mends it, for a terminal. */
export function errorText(error: TrmigError, style: Style, command: string): string {
  const help = error.code === 'E_USAGE' ? ` See: trmig ${command.replaceAll(':', ' ')} --help` : '';
  return `${style.bad('error:')} ${error.message} ${style.dim(`(${error.code})`)}\n${style.strong('hint:')} ${error.hint}${help}\n`;
}

/** oclif's complaints about the command line as ours; null when it is something else. */
function usageError(thrown: Error): TrmigError | null {
  const { oclif, parse } = thrown as { oclif?: { exit?: number }; parse?: unknown };
  if (parse === undefined && oclif?.exit !== 2) return null;
  // It appends how to get help on lines of their own.
  const message = thrown.message.split('\n').filter((line) => line !== '' && !line.startsWith('See more help'));
  return new TrmigError('E_USAGE', message.join(' '), { cause: thrown });
}

/** JSON has neither 64-bit integers nor bytes: the former become decimal strings, the latter hex. */
function jsonSafe(this: Record<string, unknown>, key: string, value: unknown): unknown {
  // Buffers have been through their own toJSON by now.
  const raw = this[key];
  if (raw instanceof Uint8Array) return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('hex');
  return typeof value === 'bigint' ? value.toString() : value;
}

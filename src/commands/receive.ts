import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { plaintextFlag } from '../cli/link-flags.js';
import { requireAddress } from '../cli/typed-values.js';
import type { DestinationResult, ReceiveOptions, ShippedRecording, TrmigError } from '../index.js';

export default class Receive extends BaseCommand<typeof Receive> {
  static override summary = 'Take machines and recordings that other hosts send.';
  static override description =
    'Listens for `trmig migrate` and `trmig ship`. Machines that arrive run on this host; recordings are stored in the ' +
    'state directory. Ctrl-C stops listening and cancels what has not been handed over yet. Off loopback the link is ' +
    'encrypted, and only hosts that this one trusts are listened to (`trmig keys`).';
  static override examples = [
    '<%= config.bin %> receive --listen 10.0.0.2:7600',
    {
      description: 'Machines may name files of this host in one folder only',
      command: '<%= config.bin %> receive --listen 10.0.0.2:7600 --files /srv/guests',
    },
    {
      description: 'One machine, on any free port',
      command: '<%= config.bin %> receive --listen 127.0.0.1:0 --once --json',
    },
  ];
  static override flags = {
    listen: Flags.string({
      summary: 'Address; port 0 takes any free one.',
      helpValue: 'HOST:PORT',
      default: '127.0.0.1:7600',
    }),
    files: Flags.string({
      summary: 'Where the kernel, initrd and shared disks of machines must lie; anywhere unless given. Repeatable.',
      helpValue: 'DIR',
      multiple: true,
      multipleNonGreedy: true,
    }),
    once: Flags.boolean({ summary: 'End after one machine or recording; the exit code says whether it arrived.' }),
    plaintext: plaintextFlag,
  };

  async run(): Promise<void> {
    const { KeyRing, receive, receiveRecording } = await import('../index.js');
    const { host, port } = requireAddress(this.flags.listen, '0.0.0.0');
    const home = await this.home();
    const once = new AbortController();
    const ended = (error: TrmigError | null): void => {
      if (!this.flags.once) return;
      if (error !== null) process.exitCode = error.exitCode;
      once.abort();
    };
    const options: ReceiveOptions = {
      home,
      host,
      port,
      security: new KeyRing(home).security(this.flags.plaintext),
      signal: this.signal,
      files: this.flags.files,
      onPhase: (phase, machine, peer) => {
        this.result({ phase: phase.at, machine, peer }, () => `${machine}  ${phase.at}  (from ${peer})`);
      },
      onMachine: (result) => {
        this.#tellMachine(result);
        if (result.phase.at === 'live') void this.note(home, { machine: result.machine });
        if (result.next === null) ended(result.phase.at === 'live' ? null : result.error);
      },
      takeRecording: async (link, offer) => {
        const outcome = await receiveRecording(link, offer, { home, signal: this.signal });
        this.#tellRecording(outcome);
        if (outcome.manifest !== null) await this.note(home, { recording: outcome.dir });
        ended(outcome.error);
      },
      onRefused: (error) => {
        this.result({ refused: error }, () => [
          `${this.style.warning('refused')}  ${error.message} (${error.code})`,
          `${this.style.strong('hint:')}    ${error.hint}`,
        ]);
      },
    };
    const receiver = await receive(options);
    once.signal.addEventListener('abort', () => void receiver.close(), { once: true });
    const listening = receiver.host.includes(':')
      ? `[${receiver.host}]:${receiver.port}`
      : `${receiver.host}:${receiver.port}`;
    this.result({ listening }, () => `Listening on ${listening}; machines arrive in ${home.root}`);
    await receiver.closed;
  }

  #tellMachine({ machine, migrationId, phase, error }: DestinationResult): void {
    this.result({ machine, migrationId, phase: phase.at, live: phase.at === 'live', error }, () =>
      phase.at === 'live'
        ? this.style.good(`${machine} runs here now`)
        : `${this.style.warning(`${machine} was not taken`)} (${phase.at}): ${error?.message ?? 'its source gave up'}`,
    );
  }

  #tellRecording({ dir, error, manifest, segments }: ShippedRecording): void {
    const { machine, uuid } = manifest ?? { machine: null, uuid: null };
    this.result({ recording: dir, machine, uuid, segments, whole: error === null, error }, () =>
      error === null
        ? this.style.good(`A recording of ${machine} is stored in ${dir}`)
        : `${this.style.warning('A recording did not arrive')}: ${error.message}`,
    );
  }
}

// The report's numbers in rows: bytes by kind, digests, pauses, the log, and where all this happened.
import { html, type Markup, type Piece } from './report-markup.js';
import { count, duration, rate, share, size } from './report-quantities.js';
import type { MigrationReport } from './report.js';

type Fact = readonly [name: Piece, value: Piece];

function facts(title: string, rows: readonly Fact[]): Markup {
  return html`<section>
    <h2>${title}</h2>
    <table class="facts">
      <tbody>
        ${rows.map(
          ([name, value]) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td>${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`;
}

/** What crossed the link, by kind. */
export function bytesSection({ bytes }: MigrationReport): Markup {
  const kinds: readonly (readonly [string, string, number])[] = [
    ['Base image', 'memory at the start', bytes.base],
    ['Log', 'what happened to it since then', bytes.log],
    ['Device state', 'devices at the start', bytes.deviceState],
    ['Disk', '', bytes.disk],
    ['Overhead', "frames' headers and messages", bytes.overhead],
  ];
  const most = Math.max(1, ...kinds.map(([, , value]) => value));
  return html`<section>
    <h2>Bytes on the link</h2>
    <p class="lead">${size(bytes.afterBase)} of them after the base image was through.</p>
    <table class="numbers">
      <tbody>
        ${kinds
          .filter(([name, , value]) => value > 0 || name !== 'Disk')
          .map(
            ([name, what, value]) =>
              html`<tr>
                <th scope="row">
                  ${name}<span class="what">${what}</span>
                  <span class="meter" aria-hidden="true"
                    >${value > 0 ? html`<i style="width:${((value / most) * 100).toFixed(2)}%"></i>` : null}</span
                  >
                </th>
                <td>${size(value)}</td>
              </tr>`,
          )}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Together</th>
          <td>${size(bytes.total)}</td>
        </tr>
      </tfoot>
    </table>
  </section>`;
}

/** Whether the destination became what the source was. */
export function digestsSection({ digests }: MigrationReport): Markup {
  const state = (value: string): Markup => html`<span class="state ${value}">${value}</span>`;
  return facts('Digests of both hosts', [
    ['Registers', state(digests.registers)],
    ['Device state', state(digests.devices)],
    ['Memory', state(digests.ram)],
    ['Disks', state(digests.disks)],
  ]);
}

const pausesMax = 12;

/** Every stop of the source's vCPU but the handover's. */
export function pausesSection({ pauses }: MigrationReport): Markup {
  if (pauses.length === 0) return facts('Pauses before the handover', [['none', '']]);
  const longest = [...pauses].sort((a, b) => b.ms - a.ms).slice(0, pausesMax);
  const left = pauses.length - longest.length;
  return facts('Pauses before the handover', [
    ...longest
      .sort((a, b) => a.atMs - b.atMs)
      .map(({ what, ms, atMs }): Fact => [html`${what} <span class="faint">at ${duration(atMs)}</span>`, duration(ms)]),
    ...(left > 0 ? [[`${left} shorter ones`, ''] as const] : []),
  ]);
}

/** The log, and what keeping up with it took. */
export function logSection({ log, pacing, clock }: MigrationReport): Markup {
  const compressed = log.rawBytes > 0 ? ` (${share(log.wireBytes / log.rawBytes)})` : '';
  const behind = clock.behindMs;
  return facts('The log', [
    ['Written', size(log.rawBytes)],
    ['On the wire', `${size(log.wireBytes)}${compressed}`],
    ['Events', count(log.events)],
    ['Segments', count(log.segments)],
    ['Instructions', count(log.instructions)],
    ['Pacing, at most', share(pacing.max)],
    ['Pacing while catching up', share(pacing.meanWhileCatchingUp)],
    ['Slept for pacing', duration(pacing.pacedMs)],
    ...(clock.shift === null ? [] : [['An instruction stands for', `${2 ** clock.shift} ns`] as const]),
    ...(behind === null
      ? []
      : [["The guest's clock", `${duration(Math.abs(behind))} ${behind >= 0 ? 'behind' : 'ahead'}`] as const]),
  ]);
}

/** Who, where and by what. */
export function placesSection({
  machine,
  guest,
  qemu,
  host,
  link,
  strategy,
  owner,
  migrationId,
  startedAt,
}: MigrationReport): Markup {
  const cap = link.bytesPerSecondMax === null ? '' : `, at most ${rate(link.bytesPerSecondMax)}`;
  const lost = link.brokenMs === 0 ? '' : `, made again ${link.reconnects} ×, away for ${duration(link.brokenMs)}`;
  return facts('Guest and hosts', [
    ['Machine', machine],
    ['Guest', `${guest.arch}, ${guest.board}, ${guest.vcpus} vCPU`],
    ['Memory', size(guest.memoryBytes)],
    ['Source', host.source],
    ['Destination', host.destination],
    ['Link', `${link.encrypted ? 'encrypted' : 'plain'}${cap}${lost}`],
    ['Owner now', owner],
    ['QEMU', qemu],
    ['trmig', host.trmig],
    ['Strategy', strategy],
    ['Started', startedAt],
    ['Migration', html`<code>${migrationId}</code>`],
  ]);
}

// What the figures were measured on. A number without its machine says nothing.
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { findQemu } from '../src/machine/index.js';

export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly system: string;
  readonly qemu: string;
  readonly node: string;
  /** When the benchmark began, ISO 8601. */
  readonly date: string;
  /** What else the machine was doing: the load average over one minute at the start. */
  readonly load: number;
}

/** @throws E_QEMU_NOT_FOUND, E_QEMU_VERSION */
export async function describeMachine(): Promise<MachineFacts> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const found = await findQemu({ qemu: { version: '10.0' }, arch: 'x86_64' });
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    kernel: os.release(),
    system: /^PRETTY_NAME="?([^"\n]+)/m.exec(release)?.[1] ?? 'unknown',
    qemu: found.version,
    node: process.versions.node,
    date: new Date().toISOString(),
    load: os.loadavg()[0] ?? 0,
  };
}

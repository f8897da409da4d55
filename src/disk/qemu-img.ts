// qemu-img, of the same line as the QEMU that runs the machine: what one writes, the other must read the same.
import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { TrmigError } from '../errors.js';
import { qemuImgMsMax, qemuImgOutputBytesMax } from '../limits.js';
import { fileError, syncDirectory } from '../log/files.js';
import { candidates, type DiskChain, type FoundQemu, type Layer } from '../machine/index.js';

/**
 * Finds the qemu-img that belongs to a QEMU: beside it, else where QEMUs are searched for.
 * @throws E_QEMU_IMG when there is none of its line
 */
export async function findQemuImg(qemu: FoundQemu, options: { signal?: AbortSignal } = {}): Promise<string> {
  const line = qemu.version.replace(/\.\d+$/, '');
  const beside = path.join(path.dirname(qemu.binary), 'qemu-img');
  for (const binary of [beside, ...(await candidates('qemu-img'))]) {
    const said = await runQemuImg(binary, ['--version'], options).catch(() => '');
    const version = /^qemu-img version (\d+\.\d+)\.\d+/m.exec(said)?.[1];
    if (version === line) return binary;
  }
  throw new TrmigError('E_QEMU_IMG', `there is no qemu-img of the line ${line}, which ${qemu.binary} is of`, {
    hint: 'Install qemu-utils of the same version, or run scripts/setup.sh.',
    facts: { wanted: line },
  });
}

/** Runs qemu-img to its end; what it said. @throws E_QEMU_IMG with its reason, E_ABORTED */
export function runQemuImg(
  binary: string,
  args: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number } = {},
): Promise<string> {
  const { signal, timeoutMs = qemuImgMsMax } = options;
  return new Promise((resolve, reject) => {
    const limits = { timeout: timeoutMs, maxBuffer: qemuImgOutputBytesMax, ...(signal && { signal }) };
    execFile(binary, args, limits, (cause, stdout, stderr) => {
      if (!cause) return resolve(stdout);
      if (signal?.aborted) return reject(new TrmigError('E_ABORTED', `qemu-img ${args[0]} was cancelled`, { cause }));
      const late = cause.killed ? `it did not end within ${timeoutMs} ms` : undefined;
      const said = stderr
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^qemu-img: /, '');
      const message = `qemu-img ${args[0]}: ${late ?? (said || cause.message.split('\n')[0])}`;
      reject(new TrmigError('E_QEMU_IMG', message, { cause, facts: { command: args.join(' ').slice(0, 1000) } }));
    });
  });
}

/**
 * Makes an empty overlay, synced, in a folder that is there. It names no backing file: QEMU is told which one it lies on.
 * Subclusters (2 KiB) keep it small: 20,000 scattered writes of 4 KiB make 80 MB of it, and 520 MB without.
 * @param virtualBytes the size of the guest's disk
 * @throws E_QEMU_IMG, E_DISKS when there is such a file, E_FILE_ACCESS, E_DISK_FULL, E_ABORTED
 */
export async function createOverlay(
  binary: string,
  file: string,
  virtualBytes: number,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  // qemu-img would overwrite a layer.
  const claim = await open(file, 'wx', 0o600).catch((cause: unknown) => {
    throw (cause as NodeJS.ErrnoException).code === 'EEXIST'
      ? new TrmigError('E_DISKS', `${file} is there already: a new layer must have a new file`, {
          facts: { path: file },
        })
      : fileError(cause, file);
  });
  try {
    const layout = 'cluster_size=64k,extended_l2=on,lazy_refcounts=off,compat=1.1';
    await runQemuImg(binary, ['create', '-q', '-f', 'qcow2', '-o', layout, file, String(virtualBytes)], options);
    await claim.sync();
    await syncDirectory(path.dirname(file));
  } finally {
    await claim.close();
  }
}

/**
 * A chain as one name for qemu-img, which then follows none of the names that stand in the images.
 * @param layers bottom to top
 */
export function chainName(layers: readonly Layer[]): string {
  const node = layers.reduce<object | null>(
    (backing, layer) => ({
      driver: layer.format,
      'read-only': true,
      ...(layer.format === 'qcow2' && { backing }),
      file: {
        driver: layer.file.startsWith('/dev/') ? 'host_device' : 'file',
        filename: layer.file,
        'read-only': true,
      },
    }),
    null,
  );
  return `json:${JSON.stringify(node)}`;
}

const infoSchema = z.object({ 'virtual-size': z.number().int().nonnegative() });

/** The size of the guest's disk. A QEMU may have it open. @throws E_QEMU_IMG, E_ABORTED */
export async function virtualBytes(
  binary: string,
  chain: DiskChain,
  options: { readonly signal?: AbortSignal } = {},
): Promise<number> {
  const top = chainName(chain.layers.slice(-1));
  const info = infoSchema.safeParse(
    JSON.parse(await runQemuImg(binary, ['info', '-U', '--output=json', top], options)),
  );
  if (info.success) return info.data['virtual-size'];
  throw new TrmigError('E_QEMU_IMG', `qemu-img info says nothing of the size of ${chain.layers.at(-1)!.file}`);
}

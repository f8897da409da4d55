// The state directory: what outlives a command. One folder a machine, whose files a person can look at:
//   machines/<name>/   spec.json  process.json  qemu.pid  qemu.log  qmp.sock  tracer.sock  console.sock  console.log
//                      ownership.log  disks.json  disks/
//   recordings/<name>/ migrations/<id>/ catalog.db
//   keys/              host.pem  trusted/<name>.pem
//
// Invariant: every folder trmig makes here has mode 0700: who can open tracer.sock owns the guest.
import { chmod, mkdir, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { TrmigError } from '../errors.js';
import { machineNameCharsMax, socketPathBytesMax } from '../limits.js';

/** What a machine, a recording or a migration may be called: a harmless file name. */
export const machineNamePattern = new RegExp(`^[a-z0-9][a-z0-9._-]{0,${machineNameCharsMax - 1}}$`);

/** A machine's files. All paths are absolute. */
export interface MachinePaths {
  readonly name: string;
  readonly folder: string;
  readonly spec: string;
  /** The launched process: pid, start time and boot. Written when QEMU answers. */
  readonly process: string;
  /** QEMU's own pid file; QEMU holds a lock on it while it runs. */
  readonly pid: string;
  readonly startLock: string;
  readonly qemuLog: string;
  readonly qmpSocket: string;
  readonly tracerSocket: string;
  readonly consoleSocket: string;
  readonly consoleLog: string;
  readonly ownership: string;
  /** The layers of each of its disks. */
  readonly disks: string;
  /** The layers that trmig made. */
  readonly layers: string;
}

export class Home {
  /** The state directory, absolute. */
  readonly root: string;

  constructor(root: string) {
    this.root = path.resolve(root);
  }

  /** TRMIG_HOME, else $XDG_STATE_HOME/trmig, else ~/.local/state/trmig. Nothing is made yet. */
  static fromEnvironment(env: NodeJS.ProcessEnv = process.env): Home {
    if (env['TRMIG_HOME']) return new Home(env['TRMIG_HOME']);
    // The XDG specification: a relative path there is to be ignored.
    const state = env['XDG_STATE_HOME'];
    if (state && path.isAbsolute(state)) return new Home(path.join(state, 'trmig'));
    return new Home(path.join(env['HOME'] || os.homedir(), '.local', 'state', 'trmig'));
  }

  get machines(): string {
    return path.join(this.root, 'machines');
  }

  get recordings(): string {
    return path.join(this.root, 'recordings');
  }

  get migrations(): string {
    return path.join(this.root, 'migrations');
  }

  /** This host's key, and the certificates of the hosts it trusts. */
  get keys(): string {
    return path.join(this.root, 'keys');
  }

  get catalog(): string {
    return path.join(this.root, 'catalog.db');
  }

  /** A machine's files. @throws E_MACHINE_NAME, E_SOCKET_PATH */
  machine(name: string): MachinePaths {
    checkName(name);
    const folder = path.join(this.machines, name);
    const socket = (file: string): string => checkSocketPath(path.join(folder, file));
    return {
      name,
      folder,
      spec: path.join(folder, 'spec.json'),
      process: path.join(folder, 'process.json'),
      pid: path.join(folder, 'qemu.pid'),
      startLock: path.join(folder, 'start.lock'),
      qemuLog: path.join(folder, 'qemu.log'),
      qmpSocket: socket('qmp.sock'),
      tracerSocket: socket('tracer.sock'),
      consoleSocket: socket('console.sock'),
      consoleLog: path.join(folder, 'console.log'),
      ownership: path.join(folder, 'ownership.log'),
      disks: path.join(folder, 'disks.json'),
      layers: path.join(folder, 'disks'),
    };
  }

  /** A recording's folder. @throws E_MACHINE_NAME */
  recording(name: string): string {
    return path.join(this.recordings, checkName(name));
  }

  /** A migration's folder. @throws E_MACHINE_NAME */
  migration(id: string): string {
    return path.join(this.migrations, checkName(id));
  }

  /** The names that have a folder, running or not, sorted. A home that is not made yet has none. */
  async machineNames(): Promise<string[]> {
    try {
      const entries = await readdir(this.machines, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isDirectory() && machineNamePattern.test(entry.name))
        .map((entry) => entry.name)
        .sort();
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw homeError(this.machines, cause);
    }
  }

  /** Makes a folder of the state directory (and those above it), readable by its owner only. @throws E_HOME */
  async make(folder: string): Promise<void> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // mkdir leaves an existing folder's mode alone; the folder with the sockets must be closed.
      await chmod(folder, 0o700);
    } catch (cause) {
      throw homeError(folder, cause);
    }
  }
}

/** @throws E_MACHINE_NAME */
export function checkName(name: string): string {
  if (machineNamePattern.test(name)) return name;
  throw new TrmigError('E_MACHINE_NAME', `'${name.slice(0, 80)}' is not a name`, {
    facts: { name: name.slice(0, 80) },
  });
}

/** @throws E_SOCKET_PATH when the kernel could not hold it */
export function checkSocketPath(socketPath: string): string {
  const bytes = Buffer.byteLength(socketPath);
  if (bytes <= socketPathBytesMax) return socketPath;
  throw new TrmigError(
    'E_SOCKET_PATH',
    `${socketPath} has ${bytes} bytes, and a Unix socket's path at most ${socketPathBytesMax}`,
    { facts: { path: socketPath, bytes, bytesMax: socketPathBytesMax } },
  );
}

function homeError(folder: string, cause: unknown): TrmigError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new TrmigError('E_HOME', `cannot use ${folder}: ${code}`, { cause, facts: { path: folder, code } });
}

// Serial ports: a spec has one, or none. Where it goes on the host is trmig's: a socket and a log file in the machine's folder.
import { notJson, refuseRest, type DeviceRequest, type OptionHandler, type QemuState } from './qemu-state.js';
import { OptionString } from './option-string.js';

export const consoleReason = 'the console is a socket and a log file in the folder of the machine: trmig console';
const onePort = 'a spec has one serial port';

/** One more serial port, by -serial, -nographic or a device. */
function serialPort(state: QemuState, input: string, kept: boolean): void {
  const { draft } = state;
  state.serialPorts += 1;
  if (state.serialPorts > 1) return draft.refused(input, onePort);
  draft.fields.console = 'serial';
  if (kept) draft.kept(input, 'console: serial');
  else draft.changed(input, 'console: serial', consoleReason);
}

const serial: OptionHandler = (state, value, input) => {
  if (value === 'none') {
    if (state.serialPorts === 0) state.draft.fields.console = 'none';
    state.serialPorts += 1;
    state.draft.kept(input, state.serialPorts === 1 ? 'console: none' : null);
    return;
  }
  serialPort(state, input, false);
};

export const consoleOptions: Readonly<Record<string, OptionHandler>> = {
  serial,
  nographic: (state, _, input) => {
    state.displaySaid = true;
    state.draft.kept(input, state.nodefaults || state.serialPorts > 0 ? null : 'console: serial', consoleReason);
  },
  chardev: ({ draft }, value, input) => {
    const options = OptionString.parse(value, 'backend');
    if (options === null) return draft.refused(input, notJson);
    draft.leftOut(input, 'nothing but the console has an end on the host, and that is trmig console');
  },
};

/** isa-serial and its like, named as devices. */
export function serialDevice(state: QemuState, { input, driver, options }: DeviceRequest): void {
  serialPort(state, input, driver === 'isa-serial');
  options.takeAll(/^(id|bus|addr|chardev|index|iobase|irq)$/);
  refuseRest(state.draft, `-device ${driver}`, options);
}

/** With -nodefaults there is no serial port but those named. */
export function defaultConsole(state: QemuState): void {
  if (!state.nodefaults || state.serialPorts > 0) return;
  state.draft.fields.console = 'none';
  state.draft.kept('(no -serial)', 'console: none', '-nodefaults leaves it out');
}

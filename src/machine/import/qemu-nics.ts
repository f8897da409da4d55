// -netdev with its device, -nic, and the older -net: a spec has virtio-net cards on a tap device or on QEMU's user network.
import { otherNic, placement, virtioNet } from './device-kinds.js';
import { backendReason, bridgeReason, importNic, type NicBackend } from './nic.js';
import { OptionString, isOn } from './option-string.js';
import { deviceReason } from './profile-reason.js';
import { define, notJson, refuseRest, type DeviceRequest, type OptionHandler, type QemuState } from './qemu-state.js';

const forwardReason = "a spec's user network has no settings, and lets nobody in: use backend: tap for that";
const modelDetail =
  /^(vectors|queues|mq|host_mtu|tx|rx_queue_size|tx_queue_size|ioeventfd|event_idx|packed|iommu_platform|disable-.*|ats|guest_.*|host_.*|csum|gso|ctrl_.*|mrg_rxbuf|rss|hash|status|failover|indirect_desc|any_layout|duplex|speed|netdev)$/;

/** What a spec has for a backend; null after a refusal. `what` is the option it is of. */
function readBackend(state: QemuState, what: string, input: string, options: OptionString): NicBackend | null {
  const { draft } = state;
  const type = options.take('type') ?? '';
  options.take('id');
  const details = (matching: RegExp, reason: string): void => {
    const found = options.takeAll(matching);
    if (found.length > 0) draft.leftOut(`${what} ${found.join(',')}`, reason);
  };
  if (type === 'tap') {
    const tap = options.take('ifname');
    const bridge = options.take('br');
    if (isOn(options.take('vhost'))) draft.leftOut(`${what} vhost=on`, deviceReason('vhost-net'));
    details(/^(script|downscript)$/, 'the tap device is set up on each host beforehand');
    details(/^(helper|queues|sndbuf|vnet_hdr|vhostforce|poll-us)$/, "the backend is as QEMU's default has it");
    if (options.has('fd') || options.has('fds')) details(/^(fds?|vhostfds?)$/, 'QEMU opens the tap device itself');
    return { backend: 'tap', interface: tap, bridge, change: null };
  }
  if (type === 'bridge') {
    const bridge = options.take('br') ?? 'br0';
    details(/^helper$/, 'the tap device is set up on each host beforehand');
    return { backend: 'tap', bridge, change: bridgeReason };
  }
  if (type === 'user' || type === 'passt') {
    const open = options.takeAll(/^ipv[46]$/);
    for (const [key, value] of options.rest().filter(([key]) => !isNicKey(key))) {
      options.take(key);
      draft.refused(`${what} ${key}=${value}`, forwardReason);
    }
    if (open.some((pair) => !pair.endsWith('=on'))) draft.refused(`${what} ${open.join(',')}`, forwardReason);
    return { backend: 'user', change: type === 'user' ? null : backendReason };
  }
  for (const [key] of options.rest()) options.take(key);
  draft.refused(input, /^vhost/.test(type) ? deviceReason(type) : backendReason);
  return null;
}

const isNicKey = (key: string): boolean => /^(model|mac|macaddr|addr|vectors|name)$/.test(key);

const defaultModel = (state: QemuState): string => (state.draft.fields.board === 'q35' ? 'e1000e' : 'e1000');

const nic: OptionHandler = (state, value, input) => {
  const { draft } = state;
  state.netSaid = true;
  const options = OptionString.parse(value, 'type');
  if (options === null) return draft.refused(input, notJson);
  if (value === 'none') return draft.kept(input, null);
  const backend = readBackend(state, '-nic', input, options);
  const mac = options.take('mac') ?? options.take('macaddr');
  const model = options.take('model') ?? defaultModel(state);
  options.takeAll(/^(addr|vectors|name)$/);
  if (backend !== null) importNic(draft, input, model, mac, backend);
  refuseRest(draft, '-nic', options);
};

const net: OptionHandler = (state, value, input) => {
  const { draft } = state;
  state.netSaid = true;
  const options = OptionString.parse(value, 'type');
  if (options === null) return draft.refused(input, notJson);
  if (value === 'none') return draft.kept(input, null);
  const request = { input, at: draft.at, driver: '-net', options };
  if (value.split(',')[0] === 'nic') state.oldNics.push(request);
  else state.oldBackends.push(request);
};

const netdev: OptionHandler = (state, value, input) => {
  const { draft, netdevs } = state;
  state.netSaid = true;
  const options = OptionString.parse(value, 'type');
  if (options === null) draft.refused(input, notJson);
  else define(draft, netdevs, options.take('id'), { input, options });
};

export const nicOptions: Readonly<Record<string, OptionHandler>> = { nic, net, netdev };

/** Whether a device is a nic; if so it is connected to its backend. */
export function nicDevice(state: QemuState, { input, driver, options }: DeviceRequest): boolean {
  if (!virtioNet.test(driver) && !otherNic.test(driver)) return false;
  const { draft } = state;
  const name = options.take('netdev');
  const definition = name === undefined ? undefined : state.netdevs.get(name);
  const mac = options.take('mac');
  if (definition === undefined) {
    draft.refused(input, name === undefined ? deviceReason('virtio-net-pci') : `there is no -netdev ${name}`);
  } else {
    const { at } = draft;
    draft.at = definition.at;
    definition.used = true;
    const backend = readBackend(state, '-netdev', definition.input, definition.options);
    if (backend !== null) draft.kept(definition.input, `nics[${draft.nics.length}]`);
    refuseRest(draft, '-netdev', definition.options);
    draft.at = at;
    if (backend === null) draft.refused(input, 'its backend is refused');
    else importNic(draft, input, driver, mac, backend);
  }
  const details = options.takeAll(modelDetail);
  if (details.length > 0)
    draft.leftOut(`-device ${driver} ${details.join(',')}`, "the device is as QEMU's default has it");
  options.takeAll(placement);
  refuseRest(draft, `-device ${driver}`, options);
  return true;
}

/** The pairs of -net, backends that nobody uses, and the nic that QEMU adds when nothing was said. */
export function finishNics(state: QemuState): void {
  const { draft } = state;
  for (const { options, input, at } of state.oldNics) {
    draft.at = at;
    options.take('type');
    const netdevName = options.take('netdev');
    const mac = options.take('macaddr') ?? options.take('mac');
    const model = options.take('model') ?? defaultModel(state);
    const definition = netdevName === undefined ? undefined : state.netdevs.get(netdevName);
    if (definition !== undefined) definition.used = true;
    const partner = definition ?? state.oldBackends.shift();
    const what = definition === undefined ? '-net' : '-netdev';
    const backend = partner === undefined ? null : readBackend(state, what, partner.input, partner.options);
    if (partner === undefined) draft.refused(input, 'it has no backend: each nic needs one of its own');
    else if (backend !== null) {
      draft.kept(partner.input, `nics[${draft.nics.length}]`);
      importNic(draft, input, model, mac, backend);
      refuseRest(draft, what, partner.options);
    }
    options.takeAll(/^(vlan|name|addr|vectors|id)$/);
    refuseRest(draft, '-net', options);
  }
  for (const { input, at } of [...state.oldBackends, ...[...state.netdevs.values()].filter(({ used }) => !used)]) {
    draft.at = at;
    draft.leftOut(input, 'no nic uses it');
  }
  if (state.netSaid || state.nodefaults) return;
  const backend: NicBackend = { backend: 'user', change: 'QEMU adds it when nothing is said; -nic none leaves it out' };
  importNic(draft, '(no -nic)', defaultModel(state), undefined, backend);
}

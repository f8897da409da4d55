// A libvirt domain to be imported. What is called complete reads back as a spec that the profile takes.
import { importLibvirt, undecided } from '../../../src/machine/import/index.js';
import { profileFindings } from '../../../src/machine/profile.js';
import { readBack } from '../../machine/import-text.js';
import { attempt, must, type Target } from '../target.js';

const domain = `<?xml version='1.0'?><domain type='kvm'><name>web</name><memory unit='MiB'>512</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='pc-q35-8.0'>hvm</type><boot dev='hd'/><kernel>/v&amp;z</kernel></os>
<features><acpi/></features><cpu mode='host-model'><feature name='x'/></cpu><clock offset='utc'><timer name='hpet' present='yes'/></clock>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a'/><target dev='vda' bus='virtio'/>
<boot order='1'/></disk><disk type='network' device='cdrom'><source protocol='nbd'/></disk><interface type='bridge'><source bridge='b'/>
<mac address='52:54:00:00:00:01'/><model type='e1000'/></interface><serial type='pty'/><console type='pty'/><rng model='virtio'/>
<tpm/><![CDATA[ x ]]></devices><qemu:commandline><qemu:arg value='-m'/><qemu:arg value='1G'/></qemu:commandline></domain>`;

const small = `<domain type='qemu'><name>a</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`;

export const target: Target = {
  seeds: () => [Buffer.from(domain), Buffer.from(small)],
  run: (bytes) => {
    const text = bytes.toString('utf8');
    const imported = attempt(() => importLibvirt(text, { base: '/', source: 'x.xml' }));
    if (imported === undefined || undecided(imported).length > 0) return;
    must(profileFindings(readBack(imported)).length === 0, 'it is called complete, and is not in the profile');
  },
};

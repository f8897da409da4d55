// QEMU's device models by what a spec makes of them. What the profile has against one is the profile's to say
// (profile-reason.ts); this says only which kind it is, and whether a guest can do without.

/** virtio-blk in its PCI forms. */
export const virtioBlk = /^virtio-blk(-pci|-pci-(non-)?transitional)?$/;
/** virtio-net in its PCI forms. */
export const virtioNet = /^virtio(-net(-pci|-pci-(non-)?transitional)?)?$/;
export const virtioRng = /^virtio-rng(-pci|-pci-(non-)?transitional)?$/;
export const virtioSerial = /^virtio-serial(-pci|-pci-(non-)?transitional)?$/;

/** A disk of another kind: its drive becomes a virtio-blk disk. */
export const otherDisk =
  /^(ide-(hd|cd|drive)|scsi-(hd|cd|disk|block|generic)|nvme(-ns)?|usb-storage|usb-uas|sd-card|virtio-blk-.*)$/;
/** A nic of another kind: its netdev becomes a virtio-net nic. */
export const otherNic = /^(e1000.*|rtl8139|ne2k_(pci|isa)|i8255\w+|vmxnet3|pcnet|tulip|igb|usb-net|virtio-net-.*)$/;

/** Controllers of disks that become virtio-blk. */
export const diskController =
  /^(virtio-scsi.*|(ich9-)?ahci|piix[34]-ide|lsi\w*|megasas.*|mptsas\w*|pvscsi|am53c974|dc390|isa-fdc|floppy|sdhci-pci)$/;

/** PCI topology: a spec's devices are all on the board's own bus. */
export const pciTopology =
  /^(pcie-root-port|pcie-pci-bridge|pci-bridge|ioh3420|x3130-upstream|xio3130-downstream|i82801b11-bridge|dmi-to-pci-bridge|pxb(-pcie|-cxl)?)$/;

/** What a guest notices and does without. */
export const dispensable =
  /^(usb-.*|.*hci.*|piix.-usb.*|ich9-usb.*|VGA|(secondary|isa|ati|virtio)-vga.*|qxl.*|cirrus-vga|bochs-display|ramfb|vmware-svga|virtio-gpu.*|intel-hda|ich9-intel-hda|hda-.*|AC97|ES1370|sb16|adlib|gus|cs4231a|virtio-sound.*|virtio-(balloon|keyboard|mouse|tablet|input).*|pvpanic.*|vmcoreinfo|i6300esb|ib700|i8042|isa-debugcon|isa-parallel|hpet|edu)$/i;

/** Whose memory or state is outside QEMU, or is secret: a guest that was given one needs it. */
export const outside = /^(vfio|vhost|ivshmem|tpm)/;

/** Placement and identity within QEMU, in a device's options. */
export const placement = /^(id|bus|addr|multifunction|bootindex|acpi-index|rombar|romfile)$/;
